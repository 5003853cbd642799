"""The events that the platform understands and the attributes it reads of them (semantics, 3).

Belongs here: the names. Does not: what is made of them. Anything else is kept and passes through.
"""

EVENT_ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "SoftwareVersion": ("Version", "Device"),
    "DeviceInfo": ("Device", "Os", "Platform"),
    "SessionStart": ("PlayerId", "Platform", "Country"),
    "SessionEnd": ("DurationSeconds",),
    "Install": ("Source",),
    "Purchase": ("Amount", "Currency", "Sku", "PurchaseId", "RefundOf"),
    "FeatureUsed": ("Feature",),
    "Notification": ("Kind", "Status", "TargetVersion"),
    "ExperimentAssigned": ("Experiment", "Variant"),
    "Crash": ("Code", "Severity"),
    "Issue": ("Code", "Severity"),
}
