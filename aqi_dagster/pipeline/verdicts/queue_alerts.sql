-- Bring the outbox in line with the verdicts of the windows from $first to $last. $now is naive UTC.

-- What is true now, window by window and region by region, for all that have a verdict or were ever told one.
CREATE OR REPLACE TEMP TABLE changed_verdicts AS
WITH last_alert AS (
    SELECT region, window_start, arg_max(verdict, alert_id) AS verdict
    FROM slack_alerts
    WHERE window_start BETWEEN $first AND $last AND status <> 'superseded'
    GROUP BY ALL
), last_sent AS (
    SELECT region, window_start, arg_max(verdict, alert_id) AS verdict
    FROM slack_alerts
    WHERE window_start BETWEEN $first AND $last AND status = 'sent'
    GROUP BY ALL
), current_verdict AS (
    SELECT region, window_start, verdict
    FROM regional_windows
    WHERE window_start BETWEEN $first AND $last
)
SELECT
    region,
    window_start,
    coalesce(current_verdict.verdict, 'withdrawn') AS verdict,
    last_sent.verdict AS told
FROM current_verdict
FULL JOIN last_alert USING (region, window_start)
LEFT JOIN last_sent USING (region, window_start)
WHERE coalesce(current_verdict.verdict, 'withdrawn') IS DISTINCT FROM last_alert.verdict;

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the verdict changed before it was sent'
FROM changed_verdicts
WHERE
    slack_alerts.region = changed_verdicts.region
    AND slack_alerts.window_start = changed_verdicts.window_start
    AND slack_alerts.status IN ('pending', 'not_sent');

-- Nothing is to be told where Slack already has the verdict, or has none and there is none.
INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, created_at)
SELECT region, window_start, verdict, told, 'pending', $now
FROM changed_verdicts
WHERE verdict IS DISTINCT FROM coalesce(told, 'withdrawn')
ORDER BY window_start, region;
