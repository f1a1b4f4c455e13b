-- Bring the outbox in line with the verdicts of one window: $window_start. $now is naive UTC.

-- What is true now, region by region, for every region that has a verdict or was ever told one.
CREATE OR REPLACE TEMP TABLE changed_verdicts AS
WITH last_alert AS (
    SELECT region, arg_max(verdict, alert_id) AS verdict
    FROM slack_alerts
    WHERE window_start = $window_start AND status <> 'superseded'
    GROUP BY region
), last_sent AS (
    SELECT region, arg_max(verdict, alert_id) AS verdict
    FROM slack_alerts
    WHERE window_start = $window_start AND status = 'sent'
    GROUP BY region
), current_verdict AS (
    SELECT region, verdict
    FROM regional_windows
    WHERE window_start = $window_start
)
SELECT
    region,
    coalesce(current_verdict.verdict, 'withdrawn') AS verdict,
    last_sent.verdict AS told
FROM current_verdict
FULL JOIN last_alert USING (region)
LEFT JOIN last_sent USING (region)
WHERE coalesce(current_verdict.verdict, 'withdrawn') IS DISTINCT FROM last_alert.verdict;

UPDATE slack_alerts
SET status = 'superseded', outcome = 'the verdict changed before it was sent'
FROM changed_verdicts
WHERE
    slack_alerts.region = changed_verdicts.region
    AND slack_alerts.window_start = $window_start
    AND slack_alerts.status IN ('pending', 'not_sent');

-- Nothing is to be told where Slack already has the verdict, or has none and there is none.
INSERT INTO slack_alerts (region, window_start, verdict, previous_verdict, status, created_at)
SELECT region, $window_start, verdict, told, 'pending', $now
FROM changed_verdicts
WHERE verdict IS DISTINCT FROM coalesce(told, 'withdrawn');
