{# True where a text is nothing but whitespace, Unicode's included. Nearly all texts begin with a
   visible ASCII character, and only the others need the slow question. #}
{% macro is_blank(column) -%}
    (ascii({{ column }}) not between 33 and 126 and not regexp_matches({{ column }}, '[^\t-\r\x{85}\pZ]'))
{%- endmacro %}

{# The source text of a top-level scalar attribute; null where it is missing, null, blank, an object
   or a list. #}
{% macro attribute(name, column='attributes') -%}
    {%- set text = column ~ " ->> '" ~ name ~ "'" -%}
    case
        when json_type({{ column }}, '$."{{ name }}"') = 'VARCHAR'
            and not {{ is_blank('(' ~ text ~ ')') }}
        then {{ text }}
    end
{%- endmacro %}

{# A number as a double; null where the text is no finite number. #}
{% macro finite_number(text) -%}
    case
        when regexp_full_match(trim({{ text }}), '[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
            and isfinite(try_cast(trim({{ text }}) as double))
        then try_cast(trim({{ text }}) as double)
    end
{%- endmacro %}
