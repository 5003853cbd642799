"""`kpi upgrade`: what an earlier release left behind, brought to this one."""
