select state, source, first_hour, end_hour from {{ source('lake', 'source_hours') }}
