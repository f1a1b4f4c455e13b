-- Views for people; the pipeline itself reads none of them.

CREATE VIEW sensor_windows AS
SELECT
    sensor,
    region,
    window_start,
    count(*) AS anomalies,
    max(pm25_cf1) AS max_pm25,
    any_value(count_sensors) AS count_sensors,
    any_value(verdict) AS verdict
FROM (SELECT region, window_start, unnest(sensors) AS sensor, count_sensors, verdict FROM regional_windows)
JOIN anomalies USING (sensor, window_start)
GROUP BY ALL;
COMMENT ON VIEW   sensor_windows               IS 'One row per sensor and window in which it has an anomaly';
COMMENT ON COLUMN sensor_windows.anomalies     IS 'Anomalies of this sensor in the window';
COMMENT ON COLUMN sensor_windows.max_pm25      IS 'Greatest PM2.5 (CF=1) among them, ug/m3';
COMMENT ON COLUMN sensor_windows.count_sensors IS 'Sensors of the region that have an anomaly in the window';
COMMENT ON COLUMN sensor_windows.verdict       IS 'Verdict on the region in the window: smoke or malfunction';

CREATE VIEW smoke_spells AS
SELECT
    region,
    min(min_event) AS first_event,
    max(window_end) AS ended_by,
    count(*) AS windows,
    max(count_sensors) AS most_sensors,
    sum(count_anomalies)::BIGINT AS anomalies,
    max(max_pm25) AS max_pm25,
    max(aqi_of_max) AS aqi_of_max
FROM (
    SELECT
        *,
        window_start - row_number() OVER (PARTITION BY region ORDER BY window_start) * INTERVAL 12 HOURS AS spell
    FROM regional_windows
    WHERE verdict = 'smoke'
)
GROUP BY region, spell;
COMMENT ON VIEW   smoke_spells              IS 'One row per region and unbroken series of windows whose verdict is smoke';
COMMENT ON COLUMN smoke_spells.first_event  IS 'Time of the earliest anomaly, UTC';
COMMENT ON COLUMN smoke_spells.ended_by     IS 'End of the last window, UTC';
COMMENT ON COLUMN smoke_spells.windows      IS 'Number of windows';
COMMENT ON COLUMN smoke_spells.most_sensors IS 'Most sensors that had an anomaly in the same window';
COMMENT ON COLUMN smoke_spells.anomalies    IS 'Number of anomalies';
COMMENT ON COLUMN smoke_spells.max_pm25     IS 'Greatest PM2.5 (CF=1) among them, ug/m3';
COMMENT ON COLUMN smoke_spells.aqi_of_max   IS 'Greatest regional_windows.aqi_of_max; above 500 is beyond the AQI';

CREATE VIEW hourly_pm25 AS
SELECT
    sensor,
    date_trunc('hour', created_at) AS hour,
    count(*) AS readings,
    avg(pm25_cf1) AS mean_pm25,
    max(pm25_cf1) AS max_pm25,
    avg(pm25_corrected) AS mean_pm25_corrected
FROM corrected_readings
WHERE NOT repeated
GROUP BY ALL;
COMMENT ON VIEW   hourly_pm25                     IS 'One row per sensor and hour with readings, repeated ones left out';
COMMENT ON COLUMN hourly_pm25.hour                IS 'Start of the hour, UTC';
COMMENT ON COLUMN hourly_pm25.readings            IS 'Readings in the hour';
COMMENT ON COLUMN hourly_pm25.mean_pm25           IS 'Mean PM2.5 (CF=1), ug/m3';
COMMENT ON COLUMN hourly_pm25.max_pm25            IS 'Greatest PM2.5 (CF=1), ug/m3';
COMMENT ON COLUMN hourly_pm25.mean_pm25_corrected IS 'Mean of corrected_readings.pm25_corrected, ug/m3';

CREATE VIEW smoke_episodes AS
SELECT
    region,
    min(hour) AS first_hour,
    max(hour) AS last_hour,
    count(*) AS hours,
    max(level) AS peak,
    count(DISTINCT epoch_ms(hour) // 43200000) AS windows
FROM (
    SELECT *, sum(CASE WHEN begins THEN 1 ELSE 0 END) OVER (PARTITION BY region ORDER BY hour) AS episode
    FROM (
        SELECT *, hour - lag(hour) OVER (PARTITION BY region ORDER BY hour) > INTERVAL 6 HOURS AS begins
        FROM regional_hours
        WHERE level >= 35.5
    )
)
GROUP BY region, episode
HAVING count(*) >= 3;
COMMENT ON VIEW   smoke_episodes            IS 'One row per region and series of three or more hours at the level of smoke, with fewer than six hours below it in between';
COMMENT ON COLUMN smoke_episodes.first_hour IS 'Start of the first hour, UTC';
COMMENT ON COLUMN smoke_episodes.last_hour  IS 'Start of the last hour, UTC';
COMMENT ON COLUMN smoke_episodes.hours      IS 'Hours at the level of smoke: 35.5 ug/m3 or more, EPA-corrected';
COMMENT ON COLUMN smoke_episodes.peak       IS 'Highest level of an hour, ug/m3';
COMMENT ON COLUMN smoke_episodes.windows    IS 'Windows of 12 hours that these hours lie in';
