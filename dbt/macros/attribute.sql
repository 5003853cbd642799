{# True where a text is nothing but whitespace, Unicode's included. #}
{% macro is_blank(column) -%}{{ return(adapter.dispatch('is_blank')(column)) }}{%- endmacro %}

{% macro default__is_blank(column) -%}
    (translate({{ column }}, '{{ "\t\n\x0b\x0c\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000" }}', '') = '')
{%- endmacro %}

{# Nearly all texts begin with a visible ASCII character, and only the others need the slow question. #}
{% macro duckdb__is_blank(column) -%}
    (ascii({{ column }}) not between 33 and 126 and not regexp_matches({{ column }}, '[^\t-\r\x{85}\pZ]'))
{%- endmacro %}

{# The source text of a top-level scalar attribute; null where it is missing, null, blank, an object
   or a list. #}
{% macro attribute(name, column='attributes') -%}
    {{ return(adapter.dispatch('attribute')(name, column)) }}
{%- endmacro %}

{% macro duckdb__attribute(name, column) -%}
    {%- set text = column ~ " ->> '" ~ name ~ "'" -%}
    case
        when json_type({{ column }}, '$."{{ name }}"') = 'VARCHAR'
            and not {{ is_blank('(' ~ text ~ ')') }}
        then {{ text }}
    end
{%- endmacro %}

{% macro postgres__attribute(name, column) -%}
    {%- set text = column ~ "::jsonb ->> '" ~ name ~ "'" -%}
    case
        when jsonb_typeof({{ column }}::jsonb -> '{{ name }}') = 'string'
            and not {{ is_blank('(' ~ text ~ ')') }}
        then {{ text }}
    end
{%- endmacro %}

{% macro redshift__attribute(name, column) -%}
    {%- set item = "json_parse(" ~ column ~ ').\"' ~ name ~ '\"' -%}
    {%- set text = "json_extract_path_text(" ~ column ~ ", '" ~ name ~ "', true)" -%}
    case
        when json_typeof({{ item | replace('\\', '') }}) = 'string' and not {{ is_blank(text) }}
        then {{ text }}
    end
{%- endmacro %}

{# Whether a purchase takes another one back: it names it, or its amount is negative. #}
{% macro is_refund(events) -%}
    {{ events }}.event_name = 'Purchase'
    and ({{ events }}.refund_of is not null or coalesce({{ finite_number(events ~ '.amount_text') }}, 0) < 0)
{%- endmacro %}

{# A number as a double; null where the text is no finite number, or has more than 400 characters:
   PostgreSQL raises an error at 131,073 digits. #}
{% macro finite_number(text) -%}{{ return(adapter.dispatch('finite_number')(text)) }}{%- endmacro %}

{% macro duckdb__finite_number(text) -%}
    case
        when length(trim({{ text }})) <= 400
            and regexp_full_match(trim({{ text }}), '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
            and isfinite(try_cast(trim({{ text }}) as double))
        then try_cast(trim({{ text }}) as double)
    end
{%- endmacro %}

{# PostgreSQL raises an error where a double would be infinite, or so small that it is 0. #}
{% macro postgres__finite_number(text) -%}
    case
        when length(trim({{ text }})) > 400 then null
        when trim({{ text }}) !~ '^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$' then null
        when trim({{ text }}) ~ '[eE]-0*[0-9]{4,}$' then 0
        when trim({{ text }}) ~ '[eE][+]?0*[0-9]{4,}$' then null
        when abs(trim({{ text }})::numeric) > 1.797693134862315e308::numeric then null
        when abs(trim({{ text }})::numeric) < 1e-307::numeric then 0
        else trim({{ text }})::double precision
    end
{%- endmacro %}

{# Redshift has no decimals as long as these: numbers of more than 30 digits are left out. #}
{% macro redshift__finite_number(text) -%}
    case
        when trim({{ text }}) ~ '^[+-]?([0-9]{1,30}\\.?[0-9]{0,30}|\\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?$'
        then trim({{ text }})::double precision
    end
{%- endmacro %}

{# A double as USD; null where it has too many digits. #}
{% macro usd(number) -%}{{ return(adapter.dispatch('usd')(number)) }}{%- endmacro %}

{% macro default__usd(number) -%} ({{ number }})::decimal(18, 6) {%- endmacro %}

{% macro duckdb__usd(number) -%} try_cast({{ number }} as decimal(18, 6)) {%- endmacro %}
