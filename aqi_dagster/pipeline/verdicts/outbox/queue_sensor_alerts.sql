-- Bring the outbox in line with the health of sensors in the windows from $first to $last. $now is naive UTC.
-- $told_from: nothing is queued of windows that ended by then, as other rules told of them.

-- A sensor breaks with the first window with a fault after none in the two before in which it took part, and is well
-- after two without. On Mondays, those that are broken are listed. What lies more than 30 days before a window does not
-- count for it, so that what is queued does not depend on where a run begins, and no run reads years.
CREATE OR REPLACE TEMP TABLE sensor_events AS
WITH reported AS (
    SELECT
        sensor,
        region,
        window_start,
        fault,
        CASE
            WHEN lag(window_start, 1) OVER windows_before >= window_start - INTERVAL 30 DAYS
                THEN lag(fault, 1) OVER windows_before
        END AS before,
        CASE
            WHEN lag(window_start, 2) OVER windows_before >= window_start - INTERVAL 30 DAYS
                THEN lag(fault, 2) OVER windows_before
        END AS before_that
    FROM sensor_health
    WHERE
        (hours >= 6 OR fault IS NOT NULL)
        AND region IS NOT NULL
        AND window_start BETWEEN $first - INTERVAL 30 DAYS AND $last
    WINDOW windows_before AS (PARTITION BY sensor ORDER BY window_start)
)
SELECT
    'sensor' AS kind,
    sensor AS subject,
    region,
    window_start,
    CASE WHEN fault IS NULL THEN 'well' ELSE 'broken' END AS verdict
FROM reported
WHERE
    window_start >= $first
    AND CASE
        WHEN fault IS NULL THEN before IS NULL AND before_that IS NOT NULL
        ELSE before IS NULL AND before_that IS NULL
    END
UNION ALL
SELECT DISTINCT 'weekly', NULL, region, window_start, 'broken'
FROM reported
WHERE
    window_start >= $first
    AND fault IS NOT NULL
    AND isodow(window_start) = 1
    AND hour(window_start) = 0;

-- The events of sensors that differ from what a channel was told last or is to be, with what it was told last of the
-- same sensor and window. An event that was told and that is none any more is withdrawn, as a verdict is.
CREATE OR REPLACE TEMP TABLE changed_sensors AS
WITH own AS (
    SELECT
        channel,
        subject,
        window_start,
        arg_max(verdict, alert_id) FILTER (status <> 'superseded') AS last_verdict,
        arg_max(region, alert_id) FILTER (status <> 'superseded') AS last_region,
        arg_max(status, alert_id) FILTER (status <> 'superseded') AS last_status,
        -- What may have been told counts as told: a change of it has to be.
        arg_max(verdict, alert_id) FILTER (status IN ('sent', 'unknown')) AS told
    FROM channel_alerts SEMI JOIN told_channels USING (channel)
    WHERE kind = 'sensor' AND window_start BETWEEN $first AND $last
    GROUP BY channel, subject, window_start
), first_alert AS (
    SELECT subject, window_start, min(created_at) AS created_at
    FROM slack_alerts
    WHERE kind = 'sensor' AND window_start BETWEEN $first AND $last
    GROUP BY subject, window_start
), current_event AS (
    SELECT channel, since, subject, region, window_start, verdict
    FROM sensor_events
    CROSS JOIN told_channels
    WHERE kind = 'sensor'
)
SELECT
    channel,
    subject,
    window_start,
    coalesce(region, last_region) AS region,
    coalesce(verdict, 'withdrawn') AS verdict,
    told
FROM current_event
FULL JOIN own USING (channel, subject, window_start)
LEFT JOIN first_alert USING (subject, window_start)
WHERE
    (
        coalesce(verdict, 'withdrawn') IS DISTINCT FROM last_verdict
        -- A sensor that was told of stays told of, when it comes to be counted to another region.
        OR (last_status NOT IN ('sent', 'unknown') AND region <> last_region)
    )
    -- What was told before a channel was there is not told to it, unless it got it then as recent.
    AND (own.channel IS NOT NULL OR coalesce(created_at >= since, true));

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the health of the sensor was judged anew before it was sent'
FROM changed_sensors
WHERE
    changed_sensors.channel = 'slack'
    AND slack_alerts.kind = 'sensor'
    AND slack_alerts.subject = changed_sensors.subject
    AND slack_alerts.window_start = changed_sensors.window_start
    AND slack_alerts.status IN ('pending', 'not_sent', 'refused');

UPDATE deliveries
SET status = 'superseded', outcome = 'the health of the sensor was judged anew before it was sent'
FROM changed_sensors
JOIN slack_alerts USING (subject, window_start)
WHERE
    slack_alerts.kind = 'sensor'
    AND deliveries.alert_id = slack_alerts.alert_id
    AND deliveries.channel = changed_sensors.channel
    AND deliveries.status IN ('pending', 'not_sent', 'refused');

CREATE OR REPLACE TEMP TABLE new_sensors AS
FROM changed_sensors
WHERE
    verdict IS DISTINCT FROM coalesce(told, 'withdrawn')
    AND window_start + INTERVAL 12 HOURS > $told_from;

INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, outcome, created_at, kind, subject)
SELECT
    any_value(region),
    window_start,
    verdict,
    any_value(told) FILTER (channel = 'slack'),
    CASE WHEN bool_or(channel = 'slack') THEN 'pending' ELSE 'superseded' END,
    CASE WHEN NOT bool_or(channel = 'slack') THEN 'it is for other channels alone' END,
    $now,
    'sensor',
    subject
FROM new_sensors
GROUP BY subject, window_start, verdict
ORDER BY window_start, subject;

INSERT INTO deliveries (alert_id, channel, status, previous_verdict)
SELECT max(alert_id), channel, 'pending', new_sensors.told
FROM new_sensors
JOIN slack_alerts USING (subject, window_start, verdict)
WHERE channel <> 'slack' AND kind = 'sensor'
GROUP BY channel, subject, window_start, new_sensors.told
ORDER BY 1, 2;

-- A list that was sent stays: the next one has what is true then.
CREATE OR REPLACE TEMP TABLE untrue_lists AS
SELECT alert_id
FROM slack_alerts
WHERE
    kind = 'weekly'
    AND window_start BETWEEN $first AND $last
    AND NOT EXISTS (
        FROM sensor_events
        WHERE
            sensor_events.kind = 'weekly'
            AND sensor_events.region = slack_alerts.region
            AND sensor_events.window_start = slack_alerts.window_start
    );

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the health of the sensors was judged anew before it was sent'
WHERE alert_id IN (FROM untrue_lists) AND status IN ('pending', 'not_sent', 'refused');

UPDATE deliveries
SET status = 'superseded', outcome = 'the health of the sensors was judged anew before it was sent'
WHERE alert_id IN (FROM untrue_lists) AND status IN ('pending', 'not_sent', 'refused');

CREATE OR REPLACE TEMP TABLE new_lists AS
SELECT channel, region, window_start, verdict
FROM sensor_events
CROSS JOIN told_channels
WHERE
    kind = 'weekly'
    AND window_start + INTERVAL 12 HOURS > $told_from
    AND NOT EXISTS (
        FROM channel_alerts
        WHERE
            channel_alerts.kind = 'weekly'
            AND channel_alerts.region = sensor_events.region
            AND channel_alerts.window_start = sensor_events.window_start
            AND (
                (channel_alerts.channel = told_channels.channel AND channel_alerts.status <> 'superseded')
                OR channel_alerts.created_at < since
            )
    );

INSERT INTO slack_alerts (region, window_start, verdict, status, outcome, created_at, kind)
SELECT
    region,
    window_start,
    verdict,
    CASE WHEN bool_or(channel = 'slack') THEN 'pending' ELSE 'superseded' END,
    CASE WHEN NOT bool_or(channel = 'slack') THEN 'it is for other channels alone' END,
    $now,
    'weekly'
FROM new_lists
GROUP BY region, window_start, verdict
ORDER BY window_start, region;

INSERT INTO deliveries (alert_id, channel, status)
SELECT max(alert_id), channel, 'pending'
FROM new_lists
JOIN slack_alerts USING (region, window_start)
WHERE channel <> 'slack' AND kind = 'weekly'
GROUP BY channel, region, window_start
ORDER BY 1, 2;
