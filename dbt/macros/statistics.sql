{# Intervals at 95 % and what they rest on. Counts go in as integers, sums as decimals, so that the
   same rows give the same bounds in whatever order they are added up. Every macro is null where its
   interval does not exist. Arguments are columns or short expressions: they are repeated.

   Sources. Shares: Wilson (1927), doi 10.1080/01621459.1927.10502953. Differences of shares: Newcombe
   (1998), method 10, doi 10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I. Means:
   Student's t; differences of means: Welch (1947), doi 10.1093/biomet/34.1-2.28. Quantiles of t:
   Abramowitz and Stegun, 26.7.5. Rates: Byar's approximation, Breslow and Day (1987), IARC
   Scientific Publications 82, p. 69. Correlations: Fisher (1921), Metron 1, 3-32. #}
{% macro z95() -%} 1.959963984540054 {%- endmacro %}

{# The fewest players that a verdict may rest on. #}
{% macro is_enough(players) -%} ({{ players }} >= {{ var('minimum_sample') }}) {%- endmacro %}

{% macro wilson_middle(k, n) -%}
    ((cast({{ k }} as double precision) + {{ z95() }} * {{ z95() }} / 2) / ({{ n }} + {{ z95() }} * {{ z95() }}))
{%- endmacro %}
{% macro wilson_half(k, n) -%}
    ({{ z95() }} / ({{ n }} + {{ z95() }} * {{ z95() }}) * sqrt(
        cast({{ k }} as double precision) * ({{ n }} - {{ k }}) / nullif({{ n }}, 0) + {{ z95() }} * {{ z95() }} / 4))
{%- endmacro %}
{% macro wilson_low(k, n) -%}
    case when {{ n }} > 0 and {{ k }} = 0 then 0 when {{ n }} > 0 and {{ k }} > 0 then {{ wilson_middle(k, n) }} - {{ wilson_half(k, n) }} end
{%- endmacro %}
{% macro wilson_high(k, n) -%}
    case when {{ n }} > 0 and {{ k }} = {{ n }} then 1 when {{ n }} > 0 and {{ k }} < {{ n }} then {{ wilson_middle(k, n) }} + {{ wilson_half(k, n) }} end
{%- endmacro %}

{# A share k / n with its bounds: three columns. #}
{% macro share(k, n, name) -%}
    {{ ratio(k, n) }} as {{ name }},
    {{ wilson_low(k, n) }} as {{ name }}_low,
    {{ wilson_high(k, n) }} as {{ name }}_high
{%- endmacro %}

{# The difference of two shares, a's minus b's, with its bounds: three columns. Each share is given
   as the names of three columns: value, low, high. #}
{% macro difference_of_shares(a, b, name) -%}
    {{ a }} - {{ b }} as {{ name }},
    {{ a }} - {{ b }} - sqrt(power({{ a }} - {{ a }}_low, 2) + power({{ b }}_high - {{ b }}, 2)) as {{ name }}_low,
    {{ a }} - {{ b }} + sqrt(power({{ a }}_high - {{ a }}, 2) + power({{ b }} - {{ b }}_low, 2)) as {{ name }}_high
{%- endmacro %}

{# The 97.5 % quantile of Student's t; within 0.2 % from 3 degrees of freedom on; fewer are
   rounded down, to 2 or 1. #}
{% macro t975(df) -%}
    {%- set z = 1.959963984540054 -%}
    {%- set g1 = (z ** 3 + z) / 4 -%}
    {%- set g2 = (5 * z ** 5 + 16 * z ** 3 + 3 * z) / 96 -%}
    {%- set g3 = (3 * z ** 7 + 19 * z ** 5 + 17 * z ** 3 - 15 * z) / 384 -%}
    {%- set g4 = (79 * z ** 9 + 776 * z ** 7 + 1482 * z ** 5 - 1920 * z ** 3 - 945 * z) / 92160 -%}
    case
        when {{ df }} < 1 then null
        when {{ df }} < 2 then 12.706204736432095
        when {{ df }} < 3 then 4.302652729911275
        else {{ z }} + {{ g1 }} / {{ df }} + {{ g2 }} / power({{ df }}, 2) + {{ g3 }} / power({{ df }}, 3)
            + {{ g4 }} / power({{ df }}, 4)
    end
{%- endmacro %}

{# What a mean needs of a column of decimals, as three aggregates: <name>_n, _sum and _squares. #}
{% macro moments(column, name) -%}
    count({{ column }}) as {{ name }}_n,
    sum(cast({{ column }} as decimal(38, 6))) as {{ name }}_sum,
    sum(cast(power(cast({{ column }} as double precision), 2) as decimal(38, 6))) as {{ name }}_squares
{%- endmacro %}
{% macro mean_of(name) -%} {{ ratio(name ~ '_sum', name ~ '_n') }} {%- endmacro %}
{# The variance of the mean: the sample's variance / n. #}
{% macro mean_variance_of(name) -%}
    (greatest(cast({{ name }}_squares as double precision)
        - power(cast({{ name }}_sum as double precision), 2) / nullif({{ name }}_n, 0), 0)
        / nullif({{ name }}_n - 1, 0) / nullif({{ name }}_n, 0))
{%- endmacro %}

{# A mean with its bounds: three columns named `as_name`, from the moments `name`. #}
{% macro mean(name, as_name) -%}
    {{ mean_of(name) }} as {{ as_name }},
    {{ mean_of(name) }} - ({{ t975('(' ~ name ~ '_n - 1.0)') }}) * sqrt({{ mean_variance_of(name) }}) as {{ as_name }}_low,
    {{ mean_of(name) }} + ({{ t975('(' ~ name ~ '_n - 1.0)') }}) * sqrt({{ mean_variance_of(name) }}) as {{ as_name }}_high
{%- endmacro %}

{# Welch's degrees of freedom of two means, given their variances and numbers. #}
{% macro welch_df(va, na, vb, nb) -%}
    (power({{ va }} + {{ vb }}, 2)
        / nullif(power({{ va }}, 2) / nullif({{ na }} - 1, 0) + power({{ vb }}, 2) / nullif({{ nb }} - 1, 0), 0))
{%- endmacro %}

{# The difference of two means, a's minus b's, with its bounds: three columns. Of each: the column
   of its mean, of its mean's variance, and of its number. Where neither varies there is no interval. #}
{% macro difference_of_means(a, va, na, b, vb, nb, name) -%}
    {{ a }} - {{ b }} as {{ name }},
    {{ a }} - {{ b }} - ({{ t975(welch_df(va, na, vb, nb)) }}) * sqrt({{ va }} + {{ vb }}) as {{ name }}_low,
    {{ a }} - {{ b }} + ({{ t975(welch_df(va, na, vb, nb)) }}) * sqrt({{ va }} + {{ vb }}) as {{ name }}_high
{%- endmacro %}

{# Events per `scale` of the exposure, with its bounds: three columns. #}
{% macro rate(events, exposure, scale, name) -%}
    {{ scale }} * {{ ratio(events, exposure) }} as {{ name }},
    case
        when {{ exposure }} > 0 and {{ events }} = 0 then 0
        when {{ exposure }} > 0 then {{ scale }} * {{ events }}
            * power(1 - 1.0 / (9.0 * {{ events }}) - {{ z95() }} / (3 * sqrt({{ events }})), 3) / {{ exposure }}
    end as {{ name }}_low,
    case
        when {{ exposure }} > 0 then {{ scale }} * ({{ events }} + 1)
            * power(1 - 1.0 / (9.0 * ({{ events }} + 1)) + {{ z95() }} / (3 * sqrt({{ events }} + 1)), 3) / {{ exposure }}
    end as {{ name }}_high
{%- endmacro %}

{# Bounds of a correlation `r` over `n` pairs: two columns. Written with ln and exp, as Redshift has no
   hyperbolic functions. #}
{% macro correlation_bounds(r, n, name) -%}
    {{ correlation_bound(r, n, '-') }} as {{ name }}_low,
    {{ correlation_bound(r, n, '+') }} as {{ name }}_high
{%- endmacro %}
{% macro correlation_bound(r, n, sign) -%}
    case when {{ n }} > 3 and abs({{ r }}) < 1 then
        1 - 2 / (exp(ln((1 + {{ r }}) / (1 - {{ r }})) {{ sign }} 2 * {{ z95() }} / sqrt({{ n }} - 3.0)) + 1)
    end
{%- endmacro %}

{# Whether a difference is more than chance: its interval leaves out 0. #}
{% macro is_beyond_chance(name) -%} ({{ name }}_low > 0 or {{ name }}_high < 0) {%- endmacro %}
