-- Players by day.
MODEL (name bench.daily, kind FULL, cron '@hourly');

SELECT CAST(event_at AS DATE) AS date, COUNT(DISTINCT player_id) AS dau
FROM bench.events
GROUP BY 1
