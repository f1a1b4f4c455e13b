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

-- What is not true any more and was not sent yet is not told; what was sent stays: its correction is the next event.
UPDATE slack_alerts
SET status = 'superseded', outcome = 'the health of the sensor was judged anew before it was sent'
WHERE
    kind IN ('sensor', 'weekly')
    AND window_start BETWEEN $first AND $last
    AND status IN ('pending', 'not_sent', 'refused')
    AND NOT EXISTS (
        FROM sensor_events
        WHERE
            sensor_events.kind = slack_alerts.kind
            AND sensor_events.subject IS NOT DISTINCT FROM slack_alerts.subject
            AND sensor_events.region = slack_alerts.region
            AND sensor_events.window_start = slack_alerts.window_start
            AND sensor_events.verdict = slack_alerts.verdict
    );

INSERT INTO slack_alerts (region, window_start, verdict, status, created_at, kind, subject)
SELECT region, window_start, verdict, 'pending', $now, kind, subject
FROM sensor_events
WHERE
    window_start + INTERVAL 12 HOURS > $told_from
    AND NOT EXISTS (
        FROM slack_alerts
        WHERE
            sensor_events.kind = slack_alerts.kind
            AND sensor_events.subject IS NOT DISTINCT FROM slack_alerts.subject
            -- A sensor that was told of stays told of, when it comes to be counted to another region.
            AND (sensor_events.region = slack_alerts.region OR (subject IS NOT NULL AND slack_alerts.status = 'sent'))
            AND sensor_events.window_start = slack_alerts.window_start
            AND sensor_events.verdict = slack_alerts.verdict
            AND slack_alerts.status <> 'superseded'
    )
ORDER BY window_start, kind, subject;
