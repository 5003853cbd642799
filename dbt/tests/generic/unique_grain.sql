{# No two rows share these columns; of an incremental model, none of those that the build could change. #}
{% test unique_grain(model, columns) %}
select {{ columns | join(', ') }}
from {{ model }}
where {{ built_rows(model.identifier) }}
group by {{ columns | join(', ') }}
having count(*) > 1
{% endtest %}
