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

{# Of how many independent observations a share is worth that is made of several of each unit: `hits` of
   `number` observations, of which each unit has some. Given are the share, the sums over units of hits
   squared and of hits times observations, and of observations and of observations squared. Where all units
   agree on nothing or everything, nobody knows how alike one unit's are: each counts once. #}
{% macro effective_number(share, hits_squared, hits_by_number, number, number_squared, units) -%}
    case
        when {{ number }} is null or {{ number }} = 0 then null
        when {{ share }} <= 0 or {{ share }} >= 1 or {{ units }} < 2 then cast({{ units }} as double precision)
        when {{ ratio_variance(share, hits_squared, hits_by_number, number, number_squared, units) }} <= 0
            then cast({{ number }} as double precision)
        else greatest(1, least({{ number }}, {{ share }} * (1 - {{ share }})
            / {{ ratio_variance(share, hits_squared, hits_by_number, number, number_squared, units) }}))
    end
{%- endmacro %}
{# The variance of a ratio of two sums over units (Cochran, Sampling Techniques, 1977, 6.3). #}
{% macro ratio_variance(share, hits_squared, hits_by_number, number, number_squared, units) -%}
    (({{ hits_squared }} - 2 * {{ share }} * {{ hits_by_number }} + power({{ share }}, 2) * {{ number_squared }})
        * {{ units }} / ({{ units }} - 1.0::double precision) / power(cast({{ number }} as double precision), 2))
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

{# Pearson's correlation of n pairs, from their sums; null where one of the two is always the same. #}
{% macro correlation(n, sum_x, sum_xx, sum_y, sum_yy, sum_xy) -%}
    case when {{ n }} * {{ sum_xx }} > {{ sum_x }} * {{ sum_x }} and {{ n }} * {{ sum_yy }} > {{ sum_y }} * {{ sum_y }}
        then greatest(-1, least(1, ({{ n }} * {{ sum_xy }} - {{ sum_x }} * {{ sum_y }})
            / (sqrt({{ n }} * {{ sum_xx }} - {{ sum_x }} * {{ sum_x }})
                * sqrt({{ n }} * {{ sum_yy }} - {{ sum_y }} * {{ sum_y }}))))
    end
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

{# The chance of a chi-square of `df` degrees of freedom (1 to 9; more are taken as 9) to be as great as `x`,
   or greater. Exact but for erfc, which is right to seven digits (Numerical Recipes, 6.2). #}
{% macro chi_square_p(x, df) -%}
    case
        {%- for n in range(1, 10) %}
        when {{ df }} {{ '=' if n < 9 else '>=' }} {{ n }} then {{ chi_square_tail(x, n) }}
        {%- endfor %}
    end
{%- endmacro %}
{% macro chi_square_tail(x, df) -%}
    {%- set half = '(' ~ x ~ ' / 2.0)' -%}
    {%- set ns = namespace(gamma=1.0 if df % 2 == 0 else 1.772453850905516, power=0 if df % 2 == 0 else -0.5) -%}
    least(1, {{ 'exp(-' ~ half ~ ')' if df % 2 == 0 else erfc('sqrt' ~ half) }}
    {%- for step in range((df - 1) // 2) -%}
        {%- set ns.power = ns.power + 1 -%}
        {%- set ns.gamma = ns.gamma * ns.power -%}
        {{ ' ' }}+ power({{ half }}, {{ ns.power }}) * exp(-{{ half }}) / {{ ns.gamma }}
    {%- endfor -%}
    )
{%- endmacro %}
{% macro erfc(z) -%}
    {%- set t = '(1 / (1 + 0.5 * ' ~ z ~ '))' -%}
    {{ t }} * exp(-power({{ z }}, 2) - 1.26551223 + {{ t }} * (1.00002368 + {{ t }} * (0.37409196 + {{ t }} * (
        0.09678418 + {{ t }} * (-0.18628806 + {{ t }} * (0.27886807 + {{ t }} * (-1.13520398 + {{ t }} * (
        1.48851587 + {{ t }} * (-0.82215223 + {{ t }} * 0.17087277)))))))))
{%- endmacro %}

{# How likely a difference that is none looks real at least once, if it is looked at after every of so many
   equal parts of the data (Armitage, McPherson and Rowe, 1969, Journal of the Royal Statistical Society A
   132, 235-244, table 2); what lies between two numbers of looks is taken as the lesser. #}
{% macro error_of_looks(looks) -%}
    case
        {%- for number, error in [
            (1000, 0.53), (200, 0.42), (100, 0.374), (50, 0.32), (20, 0.248), (15, 0.224), (10, 0.193),
            (5, 0.142), (4, 0.126), (3, 0.107), (2, 0.083),
        ] %}
        when {{ looks }} >= {{ number }} then {{ error }}
        {%- endfor %}
        else 0.05
    end
{%- endmacro %}

{# The slope of y over 1, 2, ..., n with its bounds: three columns, from n, the sums of i * y, y and y * y. #}
{% macro slope(n, sum_iy, sum_y, sum_yy, name) -%}
    {%- set b = slope_of(n, sum_iy, sum_y) -%}
    {{ b }} as {{ name }},
    {%- for sign, bound in [('-', 'low'), ('+', 'high')] %}
    {{ b }} {{ sign }} ({{ t975('(' ~ n ~ ' - 2.0)') }}) * sqrt(greatest(
        {{ sum_yy }} - power({{ sum_y }}, 2) / nullif({{ n }}, 0) - {{ b }} * {{ co_sum(n, sum_iy, sum_y) }}, 0)
        / nullif({{ n }} - 2, 0) / nullif({{ square_sum(n) }}, 0)) as {{ name }}_{{ bound }}{{ ',' if not loop.last }}
    {%- endfor %}
{%- endmacro %}
{% macro square_sum(n) -%} (power({{ n }}, 3) - {{ n }}) / 12.0 {%- endmacro %}
{% macro co_sum(n, sum_iy, sum_y) -%} ({{ sum_iy }} - ({{ n }} + 1) / 2.0 * {{ sum_y }}) {%- endmacro %}
{% macro slope_of(n, sum_iy, sum_y) -%}
    ({{ co_sum(n, sum_iy, sum_y) }} / nullif({{ square_sum(n) }}, 0))
{%- endmacro %}
