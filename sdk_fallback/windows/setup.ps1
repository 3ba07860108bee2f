# Prepares Windows for FitCSVTool: Java, the jar, the QEMU guest agent, and on request WinRM over HTTPS.
# Run it as administrator, as often as you like. Basic sign-in and unencrypted WinRM stay off.
#
#   For Proxmox' guest agent:    setup.ps1 -Jar D:\FitCSVTool.jar -Jre D:\jre.zip -Virtio E:\
#   For WinRM:                   setup.ps1 -Jar D:\FitCSVTool.jar -Jre D:\jre.zip -Name windows.home.arpa -AllowFrom 192.168.1.10
#
# What an earlier run installed can be left out. This script stays in C:\weighbridge for that.
param(
    # FitCSVTool.jar of Garmin's FIT SDK.
    [string] $Jar,
    # A zip of a Java for Windows (one folder inside, with bin\java.exe), such as Eclipse Temurin's JRE.
    [string] $Jre,
    # The drive of virtio-win.iso. If given, the guest agent and its driver are installed.
    [string] $Virtio,
    # This machine's name in WINRM_HOST. If given, WinRM is set up.
    [string] $Name,
    # The only address that may connect.
    [string] $AllowFrom,
    [string] $User = 'weighbridge'
)
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
$home_ = 'C:\weighbridge'
$null = New-Item -ItemType Directory $home_ -Force

if ($PSCommandPath -ne "$home_\setup.ps1") { Copy-Item $PSCommandPath "$home_\setup.ps1" -Force }

# The jar. A jar is a zip and starts with PK; a Git LFS pointer or a web page does not.
if ($Jar) {
    # .NET does not know the current folder of PowerShell.
    $Jar = Convert-Path $Jar
    $start = [IO.File]::OpenRead($Jar)
    try { $first = $start.ReadByte(), $start.ReadByte() } finally { $start.Dispose() }
    if ($first[0] -ne 0x50 -or $first[1] -ne 0x4B) {
        throw "$Jar is not a jar. Use the FitCSVTool.jar of Garmin's FIT SDK."
    }
    Copy-Item $Jar "$home_\FitCSVTool.jar" -Force
}
if (-not (Test-Path "$home_\FitCSVTool.jar")) {
    throw "There is no FitCSVTool. Pass the FitCSVTool.jar of Garmin's FIT SDK as -Jar."
}

# Java, for all users. PATH stays unchanged: a service sees a new PATH only after a restart.
if ($Jre) {
    $unpacked = Join-Path $env:TEMP 'weighbridge-jre'
    Remove-Item $unpacked -Recurse -Force -ErrorAction SilentlyContinue
    Expand-Archive $Jre $unpacked
    $java = Get-ChildItem $unpacked -Recurse -Filter java.exe | Select-Object -First 1
    if (-not $java) { throw "There is no java.exe in $Jre." }
    Remove-Item "$home_\jre" -Recurse -Force -ErrorAction SilentlyContinue
    Move-Item $java.Directory.Parent.FullName "$home_\jre"
    Remove-Item $unpacked -Recurse -Force -ErrorAction SilentlyContinue
}
if (-not (Test-Path "$home_\jre\bin\java.exe") -and -not (Get-Command java.exe -ErrorAction SilentlyContinue)) {
    throw 'There is no Java. Pass a zip of a JRE for Windows as -Jre.'
}

# Only administrators may change what runs here.
& icacls $home_ /inheritance:r /grant '*S-1-5-32-544:(OI)(CI)F' '*S-1-5-18:(OI)(CI)F' '*S-1-5-32-545:(OI)(CI)RX' | Out-Null

function Install($program, $arguments, $what) {
    $done = Start-Process $program -ArgumentList $arguments -Wait -PassThru
    # 3010: after a restart. 259: pnputil found nothing newer than what is installed.
    if ($done.ExitCode -notin 0, 259, 3010) { throw "$what could not be installed (${program}: $($done.ExitCode))." }
}
if ($Virtio) {
    # The agent speaks over a virtio port, and Windows brings no driver for one.
    $system = Get-CimInstance Win32_OperatingSystem
    $build = [int] $system.BuildNumber
    $windows = if ($system.ProductType -eq 1) { if ($build -ge 22000) { 'w11' } else { 'w10' } }
        elseif ($build -ge 26100) { '2k25' } elseif ($build -ge 20348) { '2k22' } else { '2k19' }
    $driver = Join-Path $Virtio "vioserial\$windows\amd64"
    if (-not (Test-Path "$driver\vioser.inf")) {
        throw "There is no $driver\vioser.inf. Pass the drive of a current virtio-win.iso as -Virtio."
    }
    # Windows asks before it trusts a new publisher, and here nobody answers.
    $publishers = New-Object Security.Cryptography.X509Certificates.X509Store 'TrustedPublisher', 'LocalMachine'
    $publishers.Open('ReadWrite')
    $publishers.Add((Get-AuthenticodeSignature "$driver\vioser.cat").SignerCertificate)
    $publishers.Close()
    Install pnputil.exe "/add-driver `"$driver\vioser.inf`" /install" 'The driver of the guest agent'
    Install msiexec.exe "/i `"$(Join-Path $Virtio 'guest-agent\qemu-ga-x86_64.msi')`" /qn /norestart" 'The guest agent'
    Set-Service QEMU-GA -StartupType Automatic
    Start-Service QEMU-GA
}

if (-not $Name) {
    if (-not $Virtio) { throw 'Pass -Virtio for the guest agent, or -Name and -AllowFrom for WinRM.' }
    Write-Output 'Ready for the guest agent. To set up WinRM too, pass -Name and -AllowFrom.'
    return
}
if (-not $AllowFrom) { throw 'Pass -AllowFrom with the address that may connect.' }

# The account is an administrator, because by default Windows gives a remote cmd.exe to no one else.
$password = Read-Host "Choose a password for the user $User (this will be WINRM_PASSWORD)" -AsSecureString
if (Get-LocalUser $User -ErrorAction SilentlyContinue) {
    Set-LocalUser $User -Password $password
} else {
    $null = New-LocalUser $User -Password $password -PasswordNeverExpires -Description 'Runs FitCSVTool for Weighbridge'
}
Add-LocalGroupMember -SID S-1-5-32-544 -Member $User -ErrorAction SilentlyContinue
# Without this, a local administrator loses the administrator's rights when signing in over the network.
$policies = 'HKLM:\SOFTWARE\Microsoft\Windows\CurrentVersion\Policies\System'
Set-ItemProperty $policies LocalAccountTokenFilterPolicy 1 -Type DWord

# WinRM over HTTPS only, with its own self-signed certificate.
Enable-PSRemoting -Force -SkipNetworkProfileCheck | Out-Null
Get-ChildItem Cert:\LocalMachine\My | Where-Object FriendlyName -eq 'weighbridge' | Remove-Item
$certificate = New-SelfSignedCertificate -DnsName $Name, $env:COMPUTERNAME -FriendlyName weighbridge `
    -CertStoreLocation Cert:\LocalMachine\My -NotAfter (Get-Date).AddYears(10)
Get-ChildItem WSMan:\localhost\Listener | Remove-Item -Recurse
$null = New-Item WSMan:\localhost\Listener -Transport HTTPS -Address * -CertificateThumbPrint $certificate.Thumbprint -Force
Set-Item WSMan:\localhost\Service\Auth\Basic $false
Set-Item WSMan:\localhost\Service\AllowUnencrypted $false
Get-NetFirewallRule -Name WINRM-HTTP-In-TCP* -ErrorAction SilentlyContinue | Disable-NetFirewallRule
Remove-NetFirewallRule -Name weighbridge-winrm -ErrorAction SilentlyContinue
$null = New-NetFirewallRule -Name weighbridge-winrm -DisplayName 'WinRM over HTTPS, for Weighbridge' `
    -Direction Inbound -Protocol TCP -LocalPort 5986 -Action Allow -RemoteAddress $AllowFrom
Restart-Service WinRM

$base64 = [Convert]::ToBase64String($certificate.RawData, 'InsertLineBreaks')
$pem = "-----BEGIN CERTIFICATE-----`r`n$base64`r`n-----END CERTIFICATE-----`r`n"
[IO.File]::WriteAllText("$home_\winrm.pem", $pem)
# As openssl writes it, to compare.
$sum = [Security.Cryptography.SHA256]::Create().ComputeHash($certificate.RawData)
$sum = [BitConverter]::ToString($sum) -replace '-', ':'
Write-Output "Ready for WinRM: WINRM_HOST=$Name WINRM_USER=$User WINRM_CA=winrm.pem"
Write-Output "SHA-256 of $home_\winrm.pem: $sum"
