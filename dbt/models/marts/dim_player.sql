{{ config(materialized='view') }}
select * from {{ ref('stg_user_version_history') }}
