<?php
// The same in plain PHP: `php -S 127.0.0.1:8080 app.php`, which serves one request at a time: `DRUMLINE_CONCURRENCY=1`.

class Stopped extends Exception {}

// Reports to the worker about this request's attempt, or asks it.
function job(string $what, mixed $value = null): mixed
{
    $http = ['timeout' => 5, 'ignore_errors' => true];
    if ($value !== null) {
        $http += ['method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => json_encode($value)];
    }
    $url = $_SERVER['HTTP_X_DRUMLINE_JOB_URL'] . '/' . $what;
    $text = file_get_contents($url, false, stream_context_create(['http' => $http]));
    $status = (int) explode(' ', $http_response_header[0])[1];
    if ($status === 409) {
        throw new Stopped('the attempt is over: another one may have begun');
    }
    if ($status >= 400) {
        throw new Exception("$status: $text");
    }
    return $text === '' ? null : json_decode($text, true);
}

function answer(int $status, string $text = ''): void
{
    http_response_code($status);
    echo $text;
}

if ($_SERVER['REQUEST_URI'] === '/health') {
    answer(200);
    return;
}
$payload = json_decode(file_get_contents('php://input'), true)['payload'] ?? [];
if (!is_int($payload['records'] ?? null)) {
    header('X-Drumline-Reject: needs a payload with records');
    answer(422);
    return;
}
try {
    $first = job('checkpoint') ?? 0;
    file_put_contents('php://stdout', "begins at $first\n");
    for ($record = $first; $record < $payload['records']; $record++) {
        usleep((int) (($payload['pause'] ?? 0.1) * 1e6)); // Here is the work.
        job('checkpoint', $record + 1);
        job('progress', ['done' => $record + 1, 'total' => $payload['records'], 'unit' => 'records']);
    }
    job('result', ['copied' => $payload['records']]);
    answer(200);
} catch (Stopped $stopped) {
    answer(503, 'stopped');
}
