-- Decode the ordinary messages of a chunk: `decoded` gets one row per message whose columns certainly hold what
-- pipeline/messages.py would make of it. Whatever is not certain is left out, for that module to decide.
--
-- $newest: greatest created_at that is accepted (naive UTC). $window_hours: length of a window. The input `chunk` has
-- value (VARCHAR), sensor (VARCHAR, NULL where the key is refused), kafka_partition and kafka_offset.
--
-- Why this is sound although DuckDB's JSON is lenient: every field is known, present once and not null (as many keys as
-- non-null columns), every value is a scalar of the strict form (the patterns), no name or text is escaped (no
-- backslash), and nothing but the brace follows the last value (no trailing comma). The numbers are matched joined by
-- line feeds, which no JSON text holds unescaped; so few digits cannot overflow.
CREATE OR REPLACE TEMP TABLE decoded AS
WITH parsed AS (
    SELECT
        kafka_partition,
        kafka_offset,
        sensor,
        value,
        json_transform(value, '{
            "created_at": "VARCHAR", "entry_id": "VARCHAR", "PM1.0_CF1_ug/m3": "VARCHAR",
            "PM2.5_CF1_ug/m3": "VARCHAR", "PM10.0_CF1_ug/m3": "VARCHAR", "UptimeMinutes": "VARCHAR",
            "RSSI_dbm": "VARCHAR", "Temperature_F": "VARCHAR", "Humidity_%": "VARCHAR", "Humidity": "VARCHAR",
            "PM2.5_ATM_ug/m3": "VARCHAR"}') AS field
    FROM chunk
    WHERE sensor IS NOT NULL AND json_valid(value)
), typed AS (
    SELECT
        kafka_partition,
        kafka_offset,
        sensor,
        TRY_CAST(left(field.created_at, 19) AS TIMESTAMP) AS created_at,
        field.created_at AS created_at_text,
        TRY_CAST(field."PM2.5_CF1_ug/m3" AS DOUBLE) AS pm25_cf1,
        TRY_CAST(nullif(field."PM1.0_CF1_ug/m3", '') AS DOUBLE) AS pm1_cf1,
        TRY_CAST(nullif(field."PM10.0_CF1_ug/m3", '') AS DOUBLE) AS pm10_cf1,
        TRY_CAST(nullif(field."PM2.5_ATM_ug/m3", '') AS DOUBLE) AS pm25_atm,
        TRY_CAST(nullif(field.Temperature_F, '') AS DOUBLE) AS temperature,
        TRY_CAST(coalesce(nullif(field."Humidity_%", ''), nullif(field.Humidity, '')) AS DOUBLE) AS humidity,
        TRY_CAST(nullif(field.RSSI_dbm, '') AS DOUBLE) AS rssi,
        TRY_CAST(nullif(field.UptimeMinutes, '') AS DOUBLE) AS uptime,
        TRY_CAST(nullif(field.entry_id, '') AS BIGINT) AS entry_id,
        field,
        value
    FROM parsed
)
SELECT
    sensor,
    created_at,
    time_bucket(to_hours($window_hours), created_at, TIMESTAMP '1970-01-01') AS window_start,
    pm25_cf1, pm1_cf1, pm10_cf1, pm25_atm, temperature, humidity, rssi, uptime, entry_id,
    kafka_partition,
    kafka_offset
FROM typed
WHERE
    NOT contains(value, '\')
    AND (ends_with(value, '"}') OR regexp_matches(value, '[0-9]\}$'))
    AND len(json_keys(value)) =
        (field.created_at IS NOT NULL)::INTEGER + (field.entry_id IS NOT NULL)::INTEGER
        + (field."PM1.0_CF1_ug/m3" IS NOT NULL)::INTEGER + (field."PM2.5_CF1_ug/m3" IS NOT NULL)::INTEGER
        + (field."PM10.0_CF1_ug/m3" IS NOT NULL)::INTEGER + (field.UptimeMinutes IS NOT NULL)::INTEGER
        + (field.RSSI_dbm IS NOT NULL)::INTEGER + (field.Temperature_F IS NOT NULL)::INTEGER
        + (field."Humidity_%" IS NOT NULL)::INTEGER + (field.Humidity IS NOT NULL)::INTEGER
        + (field."PM2.5_ATM_ug/m3" IS NOT NULL)::INTEGER
    AND created_at <= $newest
    AND pm25_cf1 IS NOT NULL
    AND regexp_full_match(
        concat_ws(
            chr(10),
            field.created_at,
            field."PM2.5_CF1_ug/m3", nullif(field."PM1.0_CF1_ug/m3", ''), nullif(field."PM10.0_CF1_ug/m3", ''),
            nullif(field."PM2.5_ATM_ug/m3", ''), nullif(field.Temperature_F, ''), nullif(field."Humidity_%", ''),
            nullif(field.Humidity, ''), nullif(field.RSSI_dbm, ''), nullif(field.UptimeMinutes, '')
        ),
        '(?:19|20)\d\d-[01]\d-[0-3]\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d UTC(?:\n-?\d{1,15}(?:\.\d{1,15})?)+'
    )
    AND (field.entry_id IS NULL OR regexp_full_match(field.entry_id, '(?:-?\d{1,18})?'));
