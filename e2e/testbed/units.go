package testbed

import "fmt"

// SleepUnit runs a plain process.
const SleepUnit = `[Unit]
Description=sleeps
[Service]
ExecStart=/bin/sleep infinity
`

// PodmanUnit runs the app in a Podman container that lives in the unit's own cgroup.
func PodmanUnit(extra, flags string) string {
	return fmt.Sprintf(`[Unit]
Description=app in Podman, %%p %%i
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/podman run --rm --replace --name %%p-%%i --cgroups=split --sdnotify=conmon --network host -v /var/tmp:/var/tmp %s /app -name %%n %s
ExecStop=/usr/bin/podman stop -t 2 %%p-%%i
Restart=always
%s
`, Image, flags, extra)
}

// DockerUnit runs the app in a Docker container.
func DockerUnit(extra, flags string) string {
	return fmt.Sprintf(`[Unit]
Description=app in Docker, %%p %%i
After=docker.service
Wants=docker.service
[Service]
ExecStartPre=-/usr/bin/docker rm -f %%p-%%i
ExecStart=/usr/bin/docker run --rm --name %%p-%%i --network host %s /app -name %%n %s
ExecStop=/usr/bin/docker stop -t 2 %%p-%%i
Restart=always
%s
`, Image, flags, extra)
}

// WebUnit runs the app as a web server in a Podman container: instance 1 has port 8081 of its host, and so on. It does
// what a unit must do that moves without a failed request: it starts elsewhere before it stops, is up only once it
// listens, and when it is told to end goes on for as long as those who route to it may take to hear of that.
func WebUnit(extra string) string {
	return fmt.Sprintf(`[Unit]
Description=web server %%i
[Service]
Type=notify
NotifyAccess=all
ExecStart=/usr/bin/podman run --rm --replace --name %%p-%%i --cgroups=split --sdnotify=container --network host %s /app -name %%n -port 808%%i -linger 2s
ExecStop=/usr/bin/podman stop -t 10 %%p-%%i
Restart=always
[X-Flotilla]
Handover=start-first
%s
`, Image, extra)
}
