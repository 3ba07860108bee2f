# Prepares Windows for FitCSVTool: Java, the jar, the QEMU guest agent, and on request WinRM over HTTPS.
# Run it as administrator, as often as you like. Basic sign-in and unencrypted WinRM stay off.
#
#   For Proxmox' guest agent only:    setup.ps1 -Jar D:\FitCSVTool.jar -Jre D:\jre.zip -GuestAgent E:\guest-agent\qemu-ga-x86_64.msi
#   For WinRM:                        setup.ps1 -Jar … -Jre … -Name windows.home.arpa -AllowFrom 192.168.1.10
#
# -Jre is a zip of a Java for Windows (one folder inside, with bin\java.exe), such as Eclipse Temurin's JRE.
param(
    [Parameter(Mandatory)] [string] $Jar,
    [string] $Jre,
    [string] $GuestAgent,
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

# The jar. A jar is a zip and starts with PK; a Git LFS pointer or a web page does not.
$start = [IO.File]::OpenRead($Jar)
try { $first = $start.ReadByte(), $start.ReadByte() } finally { $start.Dispose() }
if ($first[0] -ne 0x50 -or $first[1] -ne 0x4B) { throw "$Jar is not a jar. Use the FitCSVTool.jar of Garmin's FIT SDK." }
Copy-Item $Jar "$home_\FitCSVTool.jar" -Force

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

if ($GuestAgent) {
    $done = Start-Process msiexec.exe -ArgumentList "/i `"$GuestAgent`" /qn /norestart" -Wait -PassThru
    if ($done.ExitCode -notin 0, 3010) { throw "The guest agent could not be installed (msiexec: $($done.ExitCode))." }
    Set-Service QEMU-GA -StartupType Automatic
    Start-Service QEMU-GA
}

if (-not $Name) {
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
Write-Output "Ready. Copy $home_\winrm.pem to the computer that runs Weighbridge, and set WINRM_CA=winrm.pem WINRM_HOST=$Name WINRM_USER=$User"
