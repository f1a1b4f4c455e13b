-- Version 12 of the store. All TIMESTAMP columns are UTC. Large tables carry no key and no index on purpose: a
-- window is overwritten ten times as fast without, and uniqueness is kept by the transactions that write.

CREATE TABLE schema_version (version INTEGER NOT NULL);
INSERT INTO schema_version VALUES (12);

CREATE TABLE readings (
    sensor           VARCHAR   NOT NULL,
    created_at       TIMESTAMP NOT NULL,
    window_start     TIMESTAMP NOT NULL,
    pm25_cf1         DOUBLE    NOT NULL,
    pm1_cf1          DOUBLE,
    pm10_cf1         DOUBLE,
    pm25_atm         DOUBLE,
    temperature      DOUBLE,
    humidity         DOUBLE,
    rssi             DOUBLE,
    uptime           DOUBLE,
    entry_id         BIGINT,
    repeated         BOOLEAN   NOT NULL,
    topic_generation INTEGER   NOT NULL,
    kafka_partition  INTEGER   NOT NULL,
    kafka_offset     BIGINT    NOT NULL,
    ingested_at      TIMESTAMP NOT NULL,
    pm25_cf1_b       DOUBLE
);
COMMENT ON TABLE  readings                  IS 'One row per accepted Kafka message';
COMMENT ON COLUMN readings.sensor           IS 'Identity of the sensor: "latitude, longitude" in degrees, and " #index" if its messages have one';
COMMENT ON COLUMN readings.created_at       IS 'When the sensor measured, UTC';
COMMENT ON COLUMN readings.window_start     IS 'Start of the 12-hour window that holds created_at, UTC';
COMMENT ON COLUMN readings.pm25_cf1         IS 'PM2.5 mass, factory calibration CF=1, ug/m3; what the detectors see';
COMMENT ON COLUMN readings.pm1_cf1          IS 'PM1.0 mass, CF=1, ug/m3';
COMMENT ON COLUMN readings.pm10_cf1         IS 'PM10 mass, CF=1, ug/m3';
COMMENT ON COLUMN readings.pm25_atm         IS 'PM2.5 mass, atmospheric calibration, ug/m3';
COMMENT ON COLUMN readings.temperature      IS 'Temperature inside the sensor, degrees Fahrenheit';
COMMENT ON COLUMN readings.humidity         IS 'Relative humidity inside the sensor, percent';
COMMENT ON COLUMN readings.rssi             IS 'Wi-Fi signal strength, dBm';
COMMENT ON COLUMN readings.uptime           IS 'Minutes since the sensor started';
COMMENT ON COLUMN readings.entry_id         IS 'Number that the producer gave the reading';
COMMENT ON COLUMN readings.repeated         IS 'True if (sensor, created_at) had been ingested before: kept, but not scored';
COMMENT ON COLUMN readings.topic_generation IS 'Generation of the topic that the message came from; see kafka_offsets';
COMMENT ON COLUMN readings.kafka_partition  IS 'Kafka partition of the message';
COMMENT ON COLUMN readings.kafka_offset     IS 'Offset of the message in its Kafka partition';
COMMENT ON COLUMN readings.ingested_at      IS 'When the message was pulled, UTC';
COMMENT ON COLUMN readings.pm25_cf1_b       IS 'PM2.5 mass, CF=1, of the second laser, ug/m3; NULL where there is none';

-- The rules and their sources are those of aqi.py. A view, because DuckDB 2.0 cannot replay the log of a killed
-- writer that made a table with generated columns and comments; without macros, because a macro is not found where this
-- file is attached to another.
CREATE VIEW corrected_readings AS
SELECT
    * EXCLUDE (usual, dense, tenths),
    floor(CASE
        WHEN tenths <= 90 THEN tenths * (50 / 90)
        WHEN tenths <= 354 THEN 51 + (tenths - 91) * (49 / 263)
        WHEN tenths <= 554 THEN 101 + (tenths - 355) * (49 / 199)
        WHEN tenths <= 1254 THEN 151 + (tenths - 555) * (49 / 699)
        WHEN tenths <= 2254 THEN 201 + (tenths - 1255) * (99 / 999)
        ELSE 301 + (tenths - 2255) * (199 / 999)
    END + 0.5)::INTEGER AS aqi_of_reading
FROM (
    SELECT *, floor(pm25_corrected * 10) AS tenths
    FROM (
        SELECT
            *,
            CASE
                WHEN pm25_cf1 NOT BETWEEN 0 AND 2000 THEN NULL
                WHEN pm25_cf1 >= 611 THEN dense
                WHEN pm25_cf1 < 570 THEN usual
                ELSE (pm25_cf1 - 570) / 41 * dense + (1 - (pm25_cf1 - 570) / 41) * usual
            END AS pm25_corrected
        FROM (
            SELECT
                *,
                CASE
                    WHEN humidity BETWEEN 0 AND 100 THEN greatest(0.524 * pm25_cf1 - 0.0862 * humidity + 5.75, 0)
                END AS usual,
                0.000421 * pm25_cf1 * pm25_cf1 + 0.392 * pm25_cf1 + 3.44 AS dense
            FROM readings
        )
    )
);
COMMENT ON VIEW   corrected_readings                IS 'Readings with their PM2.5 as EPA corrects PurpleAir sensors, and the index it stands for';
COMMENT ON COLUMN corrected_readings.pm25_corrected IS 'PM2.5 mass by EPA''s correction (Barkjohn 2021 and 2022) of pm25_cf1 and humidity, ug/m3; NULL where these do not allow it';
COMMENT ON COLUMN corrected_readings.aqi_of_reading IS 'US AQI (breakpoints of May 2024) that a whole day of pm25_corrected would have, without upper end: above 500 is beyond the AQI; the AQI proper is of 24-hour averages';

CREATE TABLE rejected_messages (
    reason           VARCHAR   NOT NULL,
    key              BLOB,
    value            BLOB,
    topic_generation INTEGER   NOT NULL,
    kafka_partition  INTEGER   NOT NULL,
    kafka_offset     BIGINT    NOT NULL,
    ingested_at      TIMESTAMP NOT NULL,
    due_at           TIMESTAMP
);
COMMENT ON TABLE  rejected_messages                  IS 'One row per message that is not a reading, as it came';
COMMENT ON COLUMN rejected_messages.reason           IS 'What is wrong with the message';
COMMENT ON COLUMN rejected_messages.key              IS 'Raw bytes of the key; NULL if the message had none';
COMMENT ON COLUMN rejected_messages.value            IS 'Raw bytes of the value; NULL for a tombstone';
COMMENT ON COLUMN rejected_messages.topic_generation IS 'Generation of the topic that the message came from';
COMMENT ON COLUMN rejected_messages.kafka_partition  IS 'Kafka partition of the message';
COMMENT ON COLUMN rejected_messages.kafka_offset     IS 'Offset of the message in its Kafka partition';
COMMENT ON COLUMN rejected_messages.ingested_at      IS 'When the message was pulled, UTC';
COMMENT ON COLUMN rejected_messages.due_at           IS 'When a message that only lies in the future is taken again, UTC; NULL if something else is wrong with it';

CREATE TABLE kafka_offsets (
    topic            VARCHAR   NOT NULL,
    topic_id         VARCHAR,
    topic_generation INTEGER   NOT NULL,
    kafka_partition  INTEGER   NOT NULL,
    next_offset      BIGINT    NOT NULL,
    messages         BIGINT    NOT NULL,
    updated_at       TIMESTAMP NOT NULL
);
COMMENT ON TABLE  kafka_offsets                  IS 'How far each partition has been read; the truth about progress';
COMMENT ON COLUMN kafka_offsets.topic            IS 'Kafka topic';
COMMENT ON COLUMN kafka_offsets.topic_id         IS 'Id that the broker gave the topic; NULL if it gives none';
COMMENT ON COLUMN kafka_offsets.topic_generation IS '1 for the topic as first seen, one more each time it was made anew';
COMMENT ON COLUMN kafka_offsets.kafka_partition  IS 'Kafka partition';
COMMENT ON COLUMN kafka_offsets.next_offset      IS 'Offset at which the next pull starts';
COMMENT ON COLUMN kafka_offsets.messages         IS 'Messages read so far: accepted and rejected';
COMMENT ON COLUMN kafka_offsets.updated_at       IS 'When the partition was last read, UTC';

CREATE TABLE pulled_offsets (
    topic_generation INTEGER   NOT NULL,
    kafka_partition  INTEGER   NOT NULL,
    first_offset     BIGINT    NOT NULL,
    next_offset      BIGINT    NOT NULL,
    messages         BIGINT    NOT NULL,
    pulled_at        TIMESTAMP NOT NULL
);
COMMENT ON TABLE  pulled_offsets                  IS 'One row per partition and transaction that took in messages of it';
COMMENT ON COLUMN pulled_offsets.topic_generation IS 'Generation of the topic that the offsets belong to';
COMMENT ON COLUMN pulled_offsets.kafka_partition  IS 'Kafka partition';
COMMENT ON COLUMN pulled_offsets.first_offset     IS 'Where the transaction began to read';
COMMENT ON COLUMN pulled_offsets.next_offset      IS 'Offset after the last one it read';
COMMENT ON COLUMN pulled_offsets.messages         IS 'Messages in between: fewer than offsets where the broker left some out';
COMMENT ON COLUMN pulled_offsets.pulled_at        IS 'When, UTC; ingested_at of its messages';

CREATE TABLE offset_gaps (
    topic_generation INTEGER   NOT NULL,
    kafka_partition  INTEGER   NOT NULL,
    first_offset     BIGINT    NOT NULL,
    last_offset      BIGINT    NOT NULL,
    noted_at         TIMESTAMP NOT NULL
);
COMMENT ON TABLE  offset_gaps                  IS 'Offsets that retention removed before they were read and that a setting let the pull pass over';
COMMENT ON COLUMN offset_gaps.topic_generation IS 'Generation of the topic that the offsets belonged to';
COMMENT ON COLUMN offset_gaps.kafka_partition  IS 'Kafka partition';
COMMENT ON COLUMN offset_gaps.first_offset     IS 'First lost offset';
COMMENT ON COLUMN offset_gaps.last_offset      IS 'Last lost offset';
COMMENT ON COLUMN offset_gaps.noted_at         IS 'When the pull passed over them, UTC';

CREATE TABLE sensors (
    sensor        VARCHAR   NOT NULL PRIMARY KEY,
    first_reading TIMESTAMP NOT NULL,
    last_reading  TIMESTAMP NOT NULL,
    readings      BIGINT    NOT NULL,
    sensor_index  BIGINT,
    name          VARCHAR,
    place         VARCHAR,
    location_type TINYINT,
    name_told_at  TIMESTAMP,
    location_type_told_at TIMESTAMP
);
COMMENT ON TABLE  sensors               IS 'One row per sensor that ever reported';
COMMENT ON COLUMN sensors.sensor        IS 'Identity: "latitude, longitude" in degrees, and " #index" if its messages have one';
COMMENT ON COLUMN sensors.first_reading IS 'Earliest created_at, UTC';
COMMENT ON COLUMN sensors.last_reading  IS 'Latest created_at, UTC';
COMMENT ON COLUMN sensors.readings      IS 'Readings, repeated ones not counted';
COMMENT ON COLUMN sensors.sensor_index  IS 'Number that PurpleAir gave the device; a device that moved is another sensor with the same index';
COMMENT ON COLUMN sensors.name          IS 'Name that its messages last gave it';
COMMENT ON COLUMN sensors.place         IS 'Where it is: "latitude, longitude" in degrees, the first part of its identity';
COMMENT ON COLUMN sensors.location_type IS '0 outside, 1 inside: scored, but left out of verdicts; NULL if its messages do not say';
COMMENT ON COLUMN sensors.name_told_at  IS 'Latest created_at of a message with a name, UTC; NULL if there is none, or a release told the name that did not record it';
COMMENT ON COLUMN sensors.location_type_told_at IS 'Latest created_at of a message with a location type, UTC; NULL if there is none, or a release told it that did not record it';

CREATE TABLE windows (
    window_start    TIMESTAMP NOT NULL,
    readings        BIGINT    NOT NULL,
    scored          BIGINT,
    revision        BIGINT,
    parameters_hash VARCHAR,
    selected        BIGINT,
    classified      BIGINT,
    chain_start     TIMESTAMP,
    selection_hash  VARCHAR,
    verdicts_hash   VARCHAR,
    health_readings BIGINT,
    health_revision BIGINT,
    health_hash     VARCHAR,
    health_since    TIMESTAMP,
    classified_health BIGINT
);
COMMENT ON TABLE  windows              IS 'One row per 12-hour window that holds readings or was scored';
COMMENT ON COLUMN windows.window_start IS 'Start of the window, UTC';
COMMENT ON COLUMN windows.readings     IS 'Readings in the window, repeated ones not counted';
COMMENT ON COLUMN windows.scored       IS 'Readings when it was last scored; NULL if never. Fewer than readings: the rest is late';
COMMENT ON COLUMN windows.revision     IS 'Grows when scoring took in something new; stale if an earlier window has a greater one';
COMMENT ON COLUMN windows.parameters_hash IS 'SHA-256 of the detector parameters of the last scoring, hexadecimal';
COMMENT ON COLUMN windows.selected     IS 'Revision of the scores from which its anomalies were selected; NULL if never';
COMMENT ON COLUMN windows.classified   IS 'Revision of the scores from which its verdicts follow; NULL if never';
COMMENT ON COLUMN windows.chain_start  IS 'First window with readings of the chain of detectors that scored it, UTC; NULL if never scored';
COMMENT ON COLUMN windows.selection_hash IS 'SHA-256 of the thresholds by which its anomalies were selected, hexadecimal; NULL if never, or by a release that did not record it';
COMMENT ON COLUMN windows.verdicts_hash IS 'SHA-256 of thresholds, region settings and rules from which its verdicts follow, hexadecimal; NULL if never, or by a release that did not record it';

COMMENT ON COLUMN windows.health_readings IS 'Readings when the health of its sensors was judged; NULL if never';
COMMENT ON COLUMN windows.health_revision IS 'Grows when judging health took in something new; stale if a window of the 21 days before has a greater one';
COMMENT ON COLUMN windows.health_hash IS 'SHA-256 of the region settings by which health was judged, hexadecimal';
COMMENT ON COLUMN windows.health_since IS 'Earliest window whose readings its health follows from, UTC: 21 days before, or where the history began';
COMMENT ON COLUMN windows.classified_health IS 'Revision of the health from which its verdicts follow; NULL if none was there';

CREATE TABLE sensor_health (
    sensor            VARCHAR   NOT NULL,
    window_start      TIMESTAMP NOT NULL,
    region            VARCHAR,
    hours             INTEGER   NOT NULL,
    mean_pm25         DOUBLE    NOT NULL,
    max_hour_pm25     DOUBLE    NOT NULL,
    corrected_pm25    DOUBLE    NOT NULL,
    hours_above_35    INTEGER   NOT NULL,
    neighbours_pm25   DOUBLE,
    ratio_down        DOUBLE,
    ratio_up          DOUBLE,
    fault             VARCHAR,
    unlike_neighbours BOOLEAN   NOT NULL,
    is_new            BOOLEAN   NOT NULL,
    on_probation      BOOLEAN   NOT NULL,
    in_dispute        BOOLEAN   NOT NULL,
    is_local          BOOLEAN   NOT NULL,
    reason            VARCHAR,
    known_trouble     VARCHAR,
    repaired_at       TIMESTAMP
);
COMMENT ON TABLE  sensor_health                   IS 'One row per sensor and 12-hour window it reported in: what it read, and whether to believe it';
COMMENT ON COLUMN sensor_health.sensor            IS 'Identity of the sensor';
COMMENT ON COLUMN sensor_health.window_start      IS 'Start of the window, UTC';
COMMENT ON COLUMN sensor_health.region            IS 'Region in which it was compared; NULL if not known yet, or if it is inside a building: then it was not judged';
COMMENT ON COLUMN sensor_health.hours             IS 'Clock hours of the window with readings; with 6 or more the sensor takes part';
COMMENT ON COLUMN sensor_health.mean_pm25         IS 'Mean of its hour means of PM2.5 (CF=1), ug/m3';
COMMENT ON COLUMN sensor_health.max_hour_pm25     IS 'Greatest hour mean of PM2.5 (CF=1), ug/m3';
COMMENT ON COLUMN sensor_health.corrected_pm25    IS 'Mean of its hour means as EPA corrects them, ug/m3';
COMMENT ON COLUMN sensor_health.hours_above_35    IS 'Hours with a corrected mean of 35.5 ug/m3 or more';
COMMENT ON COLUMN sensor_health.neighbours_pm25   IS 'Median of the means of the other healthy sensors, ug/m3; NULL unless three or more are healthy';
COMMENT ON COLUMN sensor_health.ratio_down        IS 'mean_pm25 / neighbours_pm25; NULL where the latter is below 10';
COMMENT ON COLUMN sensor_health.ratio_up          IS 'mean_pm25 / neighbours_pm25, the latter counted as at least 5';
COMMENT ON COLUMN sensor_health.fault             IS 'disagree, impossible, flat, stuck, dead, low, high, or known if only an operator knows it; NULL if none';
COMMENT ON COLUMN sensor_health.unlike_neighbours IS 'True if it has read another multiple of its neighbours for days: no fault, but no vote';
COMMENT ON COLUMN sensor_health.is_new            IS 'True if it took part in no window of the seven days before, while others did: no vote yet';
COMMENT ON COLUMN sensor_health.on_probation      IS 'True if it looks right now, but was impossible, flat or stuck within seven days: no vote yet';
COMMENT ON COLUMN sensor_health.in_dispute        IS 'True for each of two sensors of which one must be wrong';
COMMENT ON COLUMN sensor_health.is_local          IS 'True if it reads far more than the others and is to be believed: a fire beside it';
COMMENT ON COLUMN sensor_health.reason            IS 'What is the matter with it, in a sentence; NULL if nothing is';
COMMENT ON COLUMN sensor_health.known_trouble     IS 'What an operator had recorded: broken until a date, or excluded, and why; NULL if nothing held';
COMMENT ON COLUMN sensor_health.repaired_at       IS 'Start of the window from which on its history counts, as it was repaired; NULL if that was not within 14 days';

CREATE TABLE scored_readings (
    sensor       VARCHAR   NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    window_start TIMESTAMP NOT NULL,
    pm25_cf1     DOUBLE    NOT NULL,
    score        DOUBLE    NOT NULL
);
COMMENT ON TABLE  scored_readings              IS 'One row per reading, repeated ones left out, with its anomaly score';
COMMENT ON COLUMN scored_readings.sensor       IS 'Text of the message key: "latitude, longitude" in degrees';
COMMENT ON COLUMN scored_readings.created_at   IS 'When the sensor measured, UTC';
COMMENT ON COLUMN scored_readings.window_start IS 'Start of the 12-hour window, UTC';
COMMENT ON COLUMN scored_readings.pm25_cf1     IS 'PM2.5 mass, CF=1, ug/m3';
COMMENT ON COLUMN scored_readings.score        IS 'HalfSpaceTrees score, 0 (normal) to 1 (anomalous); 0 while the detector warms up';

CREATE TABLE detector_states (
    sensor          VARCHAR   NOT NULL,
    window_start    TIMESTAMP NOT NULL,
    state           BLOB      NOT NULL,
    format_version  INTEGER   NOT NULL,
    river_version   VARCHAR   NOT NULL,
    parameters_hash VARCHAR   NOT NULL
);
COMMENT ON TABLE  detector_states                 IS 'The detector of each sensor as a window left it';
COMMENT ON COLUMN detector_states.sensor          IS 'Text of the message key: "latitude, longitude" in degrees';
COMMENT ON COLUMN detector_states.window_start    IS 'Start of the window after which this is the state, UTC';
COMMENT ON COLUMN detector_states.state           IS 'Pickle of a River HalfSpaceTrees, zlib-compressed with that of an empty one as dictionary';
COMMENT ON COLUMN detector_states.format_version  IS 'Version of how the state is stored';
COMMENT ON COLUMN detector_states.river_version   IS 'River release that made the state';
COMMENT ON COLUMN detector_states.parameters_hash IS 'SHA-256 of the detector parameters, hexadecimal';

CREATE TABLE thinned_states (thinned_before TIMESTAMP NOT NULL);
COMMENT ON TABLE  thinned_states                IS 'How far the states of all windows but the last of each week were dropped';
COMMENT ON COLUMN thinned_states.thinned_before IS 'End of the last week that was thinned out, UTC';

CREATE TABLE anomalies (
    sensor       VARCHAR   NOT NULL,
    created_at   TIMESTAMP NOT NULL,
    window_start TIMESTAMP NOT NULL,
    pm25_cf1     DOUBLE    NOT NULL,
    score        DOUBLE    NOT NULL
);
COMMENT ON TABLE  anomalies              IS 'Scored readings above both thresholds';
COMMENT ON COLUMN anomalies.sensor       IS 'Text of the message key: "latitude, longitude" in degrees';
COMMENT ON COLUMN anomalies.created_at   IS 'When the sensor measured, UTC';
COMMENT ON COLUMN anomalies.window_start IS 'Start of the 12-hour window, UTC';
COMMENT ON COLUMN anomalies.pm25_cf1     IS 'PM2.5 mass, CF=1, ug/m3';
COMMENT ON COLUMN anomalies.score        IS 'HalfSpaceTrees score, 0 (normal) to 1 (anomalous)';

CREATE TABLE regional_windows (
    region             VARCHAR   NOT NULL,
    window_start       TIMESTAMP NOT NULL,
    window_end         TIMESTAMP NOT NULL,
    sensors            VARCHAR[] NOT NULL,
    count_sensors      INTEGER   NOT NULL,
    count_anomalies    INTEGER   NOT NULL,
    min_event          TIMESTAMP,
    max_pm25           DOUBLE,
    variation          DOUBLE,
    verdict            VARCHAR   NOT NULL CHECK (verdict IN ('smoke', 'malfunction', 'undecided')),
    max_pm25_corrected DOUBLE,
    aqi_of_max         INTEGER,
    aqi_category       VARCHAR,
    others_pm25        DOUBLE[],
    implausible        VARCHAR[],
    rules              VARCHAR   NOT NULL DEFAULT 'notebook' CHECK (rules IN ('notebook', 'network')),
    level              DOUBLE,
    healthy_sensors    VARCHAR[],
    broken_sensors     VARCHAR[],
    confidence         VARCHAR   CHECK (confidence IN ('high', 'low')),
    reason             VARCHAR
);
COMMENT ON TABLE  regional_windows                    IS 'One row per region and 12-hour window with a verdict: with the notebook rules, one that holds an anomaly';
COMMENT ON COLUMN regional_windows.region             IS 'Name of the region';
COMMENT ON COLUMN regional_windows.window_start       IS 'Start of the window, UTC, included';
COMMENT ON COLUMN regional_windows.window_end         IS 'End of the window, UTC, excluded';
COMMENT ON COLUMN regional_windows.sensors            IS 'Sensors with an anomaly, in order of their text';
COMMENT ON COLUMN regional_windows.count_sensors      IS 'Number of sensors with an anomaly; one place in other digits counts once';
COMMENT ON COLUMN regional_windows.count_anomalies    IS 'Number of anomalies';
COMMENT ON COLUMN regional_windows.min_event          IS 'Time of the earliest anomaly, UTC; NULL if there is none';
COMMENT ON COLUMN regional_windows.max_pm25           IS 'Greatest PM2.5 (CF=1) among the anomalies, ug/m3; NULL if there is none';
COMMENT ON COLUMN regional_windows.variation          IS 'Coefficient of variation of the PM2.5 values; NULL unless one sensor has 10 anomalies or more';
COMMENT ON COLUMN regional_windows.verdict            IS 'smoke, malfunction or, with the network rules, undecided';
COMMENT ON COLUMN regional_windows.max_pm25_corrected IS 'Greatest corrected_readings.pm25_corrected among the anomalies, ug/m3; NULL if none is known';
COMMENT ON COLUMN regional_windows.aqi_of_max         IS 'US AQI that a whole day of max_pm25_corrected would have, without upper end: above 500 is beyond the AQI; the AQI proper is of 24-hour averages. With the network rules, of level';
COMMENT ON COLUMN regional_windows.aqi_category       IS 'EPA category of aqi_of_max, Good to Hazardous';
COMMENT ON COLUMN regional_windows.others_pm25        IS 'Median PM2.5 (CF=1) of each other sensor of the region from the first to the last anomaly, ascending, ug/m3; NULL if not looked up';
COMMENT ON COLUMN regional_windows.implausible        IS 'Sensors of the region with a fault, each with what is the matter; NULL if not looked up';
COMMENT ON COLUMN regional_windows.rules              IS 'Rules that reached the verdict: notebook or network';
COMMENT ON COLUMN regional_windows.level              IS 'PM2.5 of the region by its healthy sensors, EPA-corrected, ug/m3; NULL if there is none, or with the notebook rules';
COMMENT ON COLUMN regional_windows.healthy_sensors    IS 'Sensors by which the region was judged; NULL with the notebook rules';
COMMENT ON COLUMN regional_windows.broken_sensors     IS 'Sensors of the region with a fault; NULL if not looked up';
COMMENT ON COLUMN regional_windows.confidence         IS 'high or low, of smoke by the network rules; else NULL';
COMMENT ON COLUMN regional_windows.reason             IS 'Why the verdict is what it is, in a sentence; NULL with the notebook rules';

CREATE TABLE regional_hours (
    region  VARCHAR   NOT NULL,
    hour    TIMESTAMP NOT NULL,
    level   DOUBLE    NOT NULL,
    healthy INTEGER   NOT NULL
);
COMMENT ON TABLE  regional_hours         IS 'One row per region and hour in which a healthy sensor reported; of the window that is still open as the last look saw it';
COMMENT ON COLUMN regional_hours.region  IS 'Name of the region';
COMMENT ON COLUMN regional_hours.hour    IS 'Start of the hour, UTC';
COMMENT ON COLUMN regional_hours.level   IS 'Median of the hour means of its healthy sensors, EPA-corrected, ug/m3';
COMMENT ON COLUMN regional_hours.healthy IS 'Healthy sensors that reported in the hour';

CREATE TABLE conditions (
    region     VARCHAR   NOT NULL,
    as_of      TIMESTAMP NOT NULL,
    level      DOUBLE,
    trend      DOUBLE,
    state      VARCHAR   NOT NULL CHECK (state IN ('smoke', 'clear', 'unknown')),
    since      TIMESTAMP NOT NULL,
    healthy    VARCHAR[] NOT NULL,
    broken     VARCHAR[] NOT NULL,
    rules      VARCHAR   NOT NULL CHECK (rules IN ('notebook', 'network')),
    nowcast    DOUBLE,
    aqi_of_nowcast INTEGER,
    reason     VARCHAR   NOT NULL
);
COMMENT ON TABLE  conditions         IS 'One row per region: its air as the last look at the open window saw it';
COMMENT ON COLUMN conditions.region  IS 'Name of the region';
COMMENT ON COLUMN conditions.as_of   IS 'Moment of the look, UTC';
COMMENT ON COLUMN conditions.level   IS 'Median over healthy sensors of the mean of the last three blocks of 60 minutes, EPA-corrected, ug/m3; NULL without any';
COMMENT ON COLUMN conditions.trend   IS 'level less the level of three hours before, ug/m3; NULL if one of them is not known';
COMMENT ON COLUMN conditions.state   IS 'smoke, clear, or unknown for want of healthy sensors';
COMMENT ON COLUMN conditions.since   IS 'Since when the state has been this one, UTC';
COMMENT ON COLUMN conditions.healthy IS 'Sensors by which the region is judged now';
COMMENT ON COLUMN conditions.broken  IS 'Sensors of the region that have a fault now';
COMMENT ON COLUMN conditions.rules   IS 'Rules that say whether it is smoke: notebook or network';
COMMENT ON COLUMN conditions.nowcast IS 'EPA''s NowCast of the last twelve hours of level, ug/m3; NULL unless two of the last three hours are known';
COMMENT ON COLUMN conditions.aqi_of_nowcast IS 'US AQI of nowcast, what EPA shows as the present AQI';
COMMENT ON COLUMN conditions.reason  IS 'Why the state is what it is, in a sentence';

CREATE TABLE mutes (
    region   VARCHAR   NOT NULL,
    muted_at TIMESTAMP NOT NULL,
    until    TIMESTAMP NOT NULL,
    reason   VARCHAR   NOT NULL
);
COMMENT ON TABLE  mutes          IS 'Regions of which nothing is told of smoke for a while; of each the last record holds';
COMMENT ON COLUMN mutes.region   IS 'Name of the region';
COMMENT ON COLUMN mutes.muted_at IS 'Since when, UTC';
COMMENT ON COLUMN mutes.until    IS 'Until when, UTC; muted_at if the record ends a mute';
COMMENT ON COLUMN mutes.reason   IS 'Why, in the words of the operator';

CREATE TABLE rule_changes (
    rules      VARCHAR   NOT NULL,
    changed_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE  rule_changes            IS 'One row each time other rules came to reach the verdicts';
COMMENT ON COLUMN rule_changes.rules      IS 'notebook or network';
COMMENT ON COLUMN rule_changes.changed_at IS 'When, UTC, or the start of the newest window that the rules before had not judged yet: Slack is told nothing of windows that had ended by then';

CREATE TABLE sensor_regions (
    sensor       VARCHAR   NOT NULL,
    method       VARCHAR   NOT NULL,
    region       VARCHAR,
    looked_up_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE  sensor_regions              IS 'Counties that were looked up, one row per sensor and method; only the present method counts';
COMMENT ON COLUMN sensor_regions.sensor       IS 'Text of the message key: "latitude, longitude" in degrees';
COMMENT ON COLUMN sensor_regions.method       IS 'How the county was found';
COMMENT ON COLUMN sensor_regions.region       IS 'County and state; NULL if there is none at that place';
COMMENT ON COLUMN sensor_regions.looked_up_at IS 'When the answer came, UTC';

CREATE SEQUENCE alert_ids;
CREATE TABLE slack_alerts (
    alert_id         BIGINT    NOT NULL DEFAULT nextval('alert_ids'),
    region           VARCHAR   NOT NULL,
    window_start     TIMESTAMP NOT NULL,
    verdict          VARCHAR   NOT NULL CHECK (
        verdict IN ('smoke', 'malfunction', 'undecided', 'withdrawn', 'broken', 'well', 'clear', 'muted')
    ),
    previous_verdict VARCHAR,
    status           VARCHAR   NOT NULL CHECK (
        status IN ('pending', 'sent', 'not_sent', 'superseded', 'unknown', 'refused', 'muted')
    ),
    outcome          VARCHAR,
    created_at       TIMESTAMP NOT NULL,
    attempts         INTEGER   NOT NULL DEFAULT 0,
    sent_at          TIMESTAMP,
    digest           BOOLEAN   NOT NULL DEFAULT false,
    told             VARCHAR,
    kind             VARCHAR   NOT NULL DEFAULT 'verdict' CHECK (
        kind IN ('verdict', 'early', 'ongoing', 'all_clear', 'muted', 'sensor', 'weekly')
    ),
    subject          VARCHAR,
    unanswered       INTEGER   NOT NULL DEFAULT 0,
    next_attempt_at  TIMESTAMP,
    as_of            TIMESTAMP,
    level            DOUBLE,
    trend            DOUBLE,
    since            TIMESTAMP,
    healthy          VARCHAR[],
    broken           VARCHAR[],
    aqi_of_nowcast   INTEGER,
    reason           VARCHAR
);
COMMENT ON TABLE  slack_alerts                  IS 'Outbox: one row per region, window and verdict that Slack is told';
COMMENT ON COLUMN slack_alerts.alert_id         IS 'Number of the alert, in order of creation';
COMMENT ON COLUMN slack_alerts.region           IS 'Name of the region';
COMMENT ON COLUMN slack_alerts.window_start     IS 'Start of the window, UTC';
COMMENT ON COLUMN slack_alerts.verdict          IS 'smoke, malfunction, undecided, or withdrawn if a told window has no verdict any more; of a sensor broken or well';
COMMENT ON COLUMN slack_alerts.previous_verdict IS 'Verdict that was told before; NULL for the first message of a window';
COMMENT ON COLUMN slack_alerts.status           IS 'pending, sent, not_sent (no webhook), superseded by what came later before it was sent or not for Slack at all, refused (answered, but not as Slack does), muted (not to be told), or unknown: Slack may have it or not';
COMMENT ON COLUMN slack_alerts.outcome          IS 'What the last attempt came to';
COMMENT ON COLUMN slack_alerts.created_at       IS 'When the verdict was reached, UTC';
COMMENT ON COLUMN slack_alerts.attempts         IS 'Dispatches that tried to send it; each is recorded before it asks Slack';
COMMENT ON COLUMN slack_alerts.sent_at          IS 'When Slack took it, UTC';
COMMENT ON COLUMN slack_alerts.digest           IS 'True if it was folded into a digest of old windows';
COMMENT ON COLUMN slack_alerts.told             IS 'What Slack was told: sensors, anomalies, since when, how high, and why; NULL until it was sent';
COMMENT ON COLUMN slack_alerts.kind             IS 'What it tells: a verdict on a region; smoke in a window that is still open (early), that goes on, or is over (all_clear); that a region is muted; a sensor that broke or is well again; or the weekly list of broken ones';
COMMENT ON COLUMN slack_alerts.subject          IS 'The sensor that an alert of kind sensor is about; else NULL';
COMMENT ON COLUMN slack_alerts.unanswered       IS 'Attempts in a row of which no outcome is recorded; after three the alert is unknown';
COMMENT ON COLUMN slack_alerts.next_attempt_at  IS 'When it is tried again by itself, UTC; NULL if it was never tried, or needs no further attempt';
COMMENT ON COLUMN slack_alerts.as_of            IS 'Of the kinds early, ongoing and all_clear: the moment that it tells of, UTC. Like the columns below it is a fact of that moment and never rewritten';
COMMENT ON COLUMN slack_alerts.level            IS 'Level of the region then, EPA-corrected, ug/m3; see conditions';
COMMENT ON COLUMN slack_alerts.trend            IS 'level less that of three hours before, ug/m3';
COMMENT ON COLUMN slack_alerts.since            IS 'Since when there had been smoke, or none, UTC';
COMMENT ON COLUMN slack_alerts.healthy          IS 'Sensors by which the region was judged then';
COMMENT ON COLUMN slack_alerts.broken           IS 'Sensors of the region that had a fault then';
COMMENT ON COLUMN slack_alerts.aqi_of_nowcast   IS 'US AQI of EPA''s NowCast then';
COMMENT ON COLUMN slack_alerts.reason           IS 'Why it was told, in a sentence';

CREATE TABLE channels (
    channel VARCHAR   NOT NULL,
    since   TIMESTAMP NOT NULL
);
COMMENT ON TABLE  channels         IS 'Channels beside Slack that are told of alerts; one that is not configured any more is gone';
COMMENT ON COLUMN channels.channel IS 'webhook or email';
COMMENT ON COLUMN channels.since   IS 'Since when it is told, UTC: of windows that were told before it gets those that had ended recently then';

CREATE TABLE deliveries (
    alert_id         BIGINT    NOT NULL,
    channel          VARCHAR   NOT NULL,
    status           VARCHAR   NOT NULL CHECK (
        status IN ('pending', 'sent', 'not_sent', 'superseded', 'unknown', 'refused', 'muted')
    ),
    previous_verdict VARCHAR,
    outcome          VARCHAR,
    attempts         INTEGER   NOT NULL DEFAULT 0,
    unanswered       INTEGER   NOT NULL DEFAULT 0,
    next_attempt_at  TIMESTAMP,
    sent_at          TIMESTAMP,
    digest           BOOLEAN   NOT NULL DEFAULT false,
    told             VARCHAR
);
COMMENT ON TABLE  deliveries                  IS 'One row per alert and channel beside Slack that is to be told of it; what came of telling Slack is in slack_alerts';
COMMENT ON COLUMN deliveries.alert_id         IS 'The alert, of slack_alerts';
COMMENT ON COLUMN deliveries.channel          IS 'webhook or email';
COMMENT ON COLUMN deliveries.status           IS 'As slack_alerts.status, of this channel; not_sent: the channel is not configured any more';
COMMENT ON COLUMN deliveries.previous_verdict IS 'Verdict that this channel was told before; NULL for its first message of a window';
COMMENT ON COLUMN deliveries.outcome          IS 'What the last attempt came to';
COMMENT ON COLUMN deliveries.attempts         IS 'Dispatches that tried to send it; each is recorded before it asks the channel';
COMMENT ON COLUMN deliveries.unanswered       IS 'Attempts in a row of which no outcome is recorded; after three it is unknown';
COMMENT ON COLUMN deliveries.next_attempt_at  IS 'When it is tried again by itself, UTC; NULL if it was never tried, or needs no further attempt';
COMMENT ON COLUMN deliveries.sent_at          IS 'When the channel took it, UTC';
COMMENT ON COLUMN deliveries.digest           IS 'True if it was folded into a digest of old windows';
COMMENT ON COLUMN deliveries.told             IS 'What the channel was told; NULL until it was sent';

CREATE VIEW told_channels AS
SELECT 'slack' AS channel, NULL AS since
UNION ALL
SELECT channel, since FROM channels;
COMMENT ON VIEW   told_channels       IS 'Slack, and the other channels that are told of alerts now';
COMMENT ON COLUMN told_channels.since IS 'As in channels; NULL for Slack';

CREATE VIEW channel_alerts AS
SELECT
    'slack' AS channel,
    alert_id,
    kind,
    subject,
    region,
    window_start,
    verdict,
    previous_verdict,
    created_at,
    as_of,
    status,
    outcome,
    attempts,
    next_attempt_at,
    sent_at,
    told
FROM slack_alerts
UNION ALL
SELECT
    deliveries.channel,
    alert_id,
    kind,
    subject,
    region,
    window_start,
    verdict,
    deliveries.previous_verdict,
    created_at,
    as_of,
    deliveries.status,
    deliveries.outcome,
    deliveries.attempts,
    deliveries.next_attempt_at,
    deliveries.sent_at,
    deliveries.told
FROM deliveries
JOIN slack_alerts USING (alert_id);
COMMENT ON VIEW   channel_alerts         IS 'One row per alert and channel that is to be told of it, Slack among them, with what came of it';
COMMENT ON COLUMN channel_alerts.channel IS 'slack, webhook or email';
COMMENT ON COLUMN channel_alerts.status  IS 'As in slack_alerts, of this channel';

CREATE TABLE known_trouble (
    sensor      VARCHAR   NOT NULL,
    kind        VARCHAR   NOT NULL CHECK (kind IN ('broken', 'excluded', 'repaired')),
    since       TIMESTAMP NOT NULL,
    until       TIMESTAMP,
    reason      VARCHAR   NOT NULL,
    recorded_at TIMESTAMP NOT NULL,
    CHECK ((kind = 'broken') = (until IS NOT NULL))
);
COMMENT ON TABLE  known_trouble             IS 'What operators know of sensors; of each the last record that has begun holds';
COMMENT ON COLUMN known_trouble.sensor      IS 'Identity of the sensor';
COMMENT ON COLUMN known_trouble.kind        IS 'broken until a date, excluded from verdicts, or repaired: its history begins anew';
COMMENT ON COLUMN known_trouble.since       IS 'Start of the first window in which it holds, UTC';
COMMENT ON COLUMN known_trouble.until       IS 'Windows that start from then on are judged again, UTC; NULL unless broken';
COMMENT ON COLUMN known_trouble.reason      IS 'Why, in the words of the operator';
COMMENT ON COLUMN known_trouble.recorded_at IS 'When it was recorded, UTC';

CREATE TABLE labels (
    window_start TIMESTAMP NOT NULL,
    region       VARCHAR,
    sensor       VARCHAR,
    truth        VARCHAR   NOT NULL CHECK (truth IN ('smoke', 'no smoke', 'broken', 'fine')),
    judged       VARCHAR   NOT NULL,
    note         VARCHAR,
    labelled_at  TIMESTAMP NOT NULL,
    CHECK ((region IS NULL) <> (sensor IS NULL))
);
COMMENT ON TABLE  labels              IS 'What somebody knows of a region or a sensor in a window, beside what was judged of it';
COMMENT ON COLUMN labels.window_start IS 'Start of the window, UTC';
COMMENT ON COLUMN labels.region       IS 'The region that it is about; NULL if it is about a sensor';
COMMENT ON COLUMN labels.sensor       IS 'The sensor that it is about; NULL if it is about a region';
COMMENT ON COLUMN labels.truth        IS 'smoke or no smoke in the region; of the sensor broken or fine';
COMMENT ON COLUMN labels.judged       IS 'What was judged when it was labelled: the verdict or nothing; the fault, unlike neighbours, no fault or not judged';
COMMENT ON COLUMN labels.note         IS 'How it is known; NULL if that was not said';
COMMENT ON COLUMN labels.labelled_at  IS 'When it was labelled, UTC';
