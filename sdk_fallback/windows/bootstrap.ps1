# Runs in the guest: FitCSVTool in a new folder, once for each command. Sends every new file back.
#
# Rule: comment lines and indentation are removed before the script is sent. What is left must stay under 3,000
# characters: `powershell -EncodedCommand` goes through cmd.exe, which takes 8,191 (and can cut a longer line, with
# exit code 0). Therefore everything that varies comes on standard input.
#
# In and out: one line, {"sha256": …, "body": base64 of JSON}; the checksum is that of the base64 text.
#   in   {"folder": name, "seconds": n, "files": {name: base64}, "commands": ["-b in.fit out.csv", …]}
#   out  {"fault": "" or a word or a sentence, "files": {name: base64}, "outcomes": [{"code": n, "output": text}, …]}
# The sender chooses the folder's name, so that it can remove the folder if this script could not.
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$utf8 = [Text.Encoding]::UTF8
function Sum($text) {
    -join ([Security.Cryptography.SHA256]::Create().ComputeHash($utf8.GetBytes($text)) | ForEach-Object { $_.ToString('x2') })
}
$fault = ''
$files = @{}
$outcomes = @()
$folder = ''
try {
    # Windows may split a long line of standard input, and put a byte order mark before it.
    $sent = (-join @($input)) -replace '^[^{]*', '' | ConvertFrom-Json
    if ((Sum $sent.body) -ne $sent.sha256) { throw 'damaged' }
    $task = $utf8.GetString([Convert]::FromBase64String($sent.body)) | ConvertFrom-Json
    $end = [DateTime]::UtcNow.AddSeconds($task.seconds)
    $jar = 'C:\weighbridge\FitCSVTool.jar'
    if (-not (Test-Path $jar)) { throw 'no-jar' }
    $java = 'C:\weighbridge\jre\bin\java.exe'
    if (-not (Test-Path $java)) {
        $found = Get-Command java.exe -ErrorAction SilentlyContinue
        if (-not $found) { throw 'no-java' }
        $java = $found.Path
    }
    $path = Join-Path $env:TEMP $task.folder
    $null = New-Item -ItemType Directory $path
    $folder = $path
    $names = @($task.files.PSObject.Properties | ForEach-Object { $_.Name })
    foreach ($name in $names) {
        [IO.File]::WriteAllBytes("$folder\$name", [Convert]::FromBase64String($task.files.$name))
    }
    foreach ($command in $task.commands) {
        # .NET and not `&`: in PowerShell 5.1, any text on standard error would end the script here.
        $start = New-Object Diagnostics.ProcessStartInfo $java, "-cp $jar com.garmin.fit.csv.CSVTool $command"
        $start.WorkingDirectory = $folder
        $start.UseShellExecute = $false
        $start.RedirectStandardOutput = $true
        $start.RedirectStandardError = $true
        $process = [Diagnostics.Process]::Start($start)
        $said = $process.StandardOutput.ReadToEndAsync()
        $complained = $process.StandardError.ReadToEndAsync()
        $left = [Math]::Max(0, [int]($end - [DateTime]::UtcNow).TotalMilliseconds)
        if (-not $process.WaitForExit($left)) {
            $process.Kill()
            $process.WaitForExit()
            throw 'late'
        }
        $outcomes += @{ code = $process.ExitCode; output = $said.Result + $complained.Result }
    }
    foreach ($file in Get-ChildItem $folder -File) {
        if ($names -notcontains $file.Name) {
            $files[$file.Name] = [Convert]::ToBase64String([IO.File]::ReadAllBytes($file.FullName))
        }
    }
} catch {
    $e = $_.Exception
    while ($e.InnerException) { $e = $e.InnerException }
    $fault = $e.Message
    # ERROR_DISK_FULL
    if ($e.HResult -eq -2147024784) { $fault = 'full' }
} finally {
    if ($folder) { Remove-Item $folder -Recurse -Force -ErrorAction SilentlyContinue }
}
$answer = ConvertTo-Json @{ fault = $fault; files = $files; outcomes = $outcomes } -Depth 5 -Compress
$body = [Convert]::ToBase64String($utf8.GetBytes($answer))
# Not as PowerShell's own output, which may be split into lines.
[Console]::Out.WriteLine((ConvertTo-Json @{ sha256 = (Sum $body); body = $body } -Compress))
