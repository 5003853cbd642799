{# Clients choose what they name, and tables have rows of the largest names and of `other`, which stands
   for all names beyond them together: who is counted there is counted once. #}

{# What a table calls a name, of rows joined by `join_bundled`, and by `join_bundled_services` where it is
   told: of a bundled service every name is `other`. #}
{% macro shown_name(bundled, column, services=none) -%}
    case when {{ services ~ '.service_name is not null or ' if services }}{{ bundled }}.name is not null
        then 'other' else {{ column }} end
{%- endmacro %}

{# What a table calls the service of rows joined by `join_bundled_services`. #}
{% macro shown_service(services, rows) -%}
    case when {{ services }}.service_name is not null then 'other' else {{ rows }}.service_name end
{%- endmacro %}

{# Joins the services that are shown as `other`. #}
{% macro join_bundled_services(services, rows) -%}
    left join {{ ref('bundled_services') }} {{ services }} on {{ services }}.service_name = {{ rows }}.service_name
{%- endmacro %}

{# Joins the names that `bundled_names` has of a kind, a text of SQL, for `column` of the rows. #}
{% macro join_bundled(bundled, rows, kind, column) -%}
    left join {{ ref('bundled_names') }} {{ bundled }}
        on {{ bundled }}.service_name = {{ rows }}.service_name and {{ bundled }}.kind = {{ kind }}
        and {{ bundled }}.name = {{ column }}
{%- endmacro %}

{# The names of a column that are beyond the `most` largest of each `within`, by the players who told
   them: columns `within` and `name`. `unknown` is nobody's name and stays. #}
{% macro beyond_largest(rows, within, column, most) -%}
    select {{ within | join(', ') }}, name
    from (
        select
            {{ within | join(', ') }}, name,
            row_number() over (
                partition by {{ within | join(', ') }} order by players desc, {{ by_bytes('name') }}
            ) as number
        from (
            select {{ within | join(', ') }}, {{ column }} as name, count(distinct player_id) as players
            from {{ rows }}
            where {{ column }} <> 'unknown'
            group by {{ within | join(', ') }}, {{ column }}
        ) as sized
    ) as ranked
    where number > {{ most }} or name = 'other'
{%- endmacro %}
