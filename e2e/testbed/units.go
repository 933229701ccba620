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
