package units

import "testing"

func TestNotes(t *testing.T) {
	const (
		says   = "systemd takes the service for running as soon as the client runs, before the container does"
		podman = "a.service:2: " + says + " (Type=notify with --sdnotify=conmon tells when the container runs)"
		docker = "a.service:2: " + says + " (an ExecStartPre= line that pulls the image fails the start when the pull does)"
	)
	for _, tt := range []struct{ service, want string }{
		{"ExecStart=/usr/bin/podman run --rm nginx", podman},
		{"ExecStart=podman --log-level=info run --rm nginx\nType=exec", podman},
		{"ExecStart=/bin/sh -c 'exec podman run --rm nginx'\nType=simple", podman},
		{"ExecStart=-/usr/bin/docker run --rm nginx", docker},
		{"ExecStart=/usr/bin/podman run --sdnotify=conmon nginx\nType=notify", ""},
		{"ExecStart=/usr/bin/podman run -d nginx\nType=forking", ""},
		{"ExecStart=/usr/bin/podman run nginx\nType=oneshot", ""},
		{"ExecStart=/usr/bin/docker run nginx\nExecStartPre=-/usr/bin/docker pull nginx", ""},
		{"ExecStart=/usr/bin/docker start -a nginx", ""},
		{"ExecStart=/usr/bin/npm run serve", ""},
		{"ExecStart=/usr/bin/docker run nginx\nExecStart=\nExecStart=/bin/true", ""},
	} {
		raw := []byte("[Service]\n" + tt.service + "\n")
		if err := Verify("a.service", raw); err != nil {
			t.Fatal(err)
		}
		f, err := Parse("a.service", raw)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, n := range f.Notes() {
			got += n.Error()
		}
		if got != tt.want {
			t.Errorf("Notes(%q) = %q, want %q", tt.service, got, tt.want)
		}
	}
}
