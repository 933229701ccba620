package units

import "slices"

// Notes are what a careful reader would tell the author of a unit file that Verify passes: each
// with its line, and no reason to refuse the file.
func (f *File) Notes() []*Error {
	switch f.ServiceType() {
	case "simple", "exec", "idle":
	default:
		return nil
	}
	for _, o := range f.execs() {
		for _, c := range commands(o.Value) {
			if o.Name == "ExecStartPre" && c.runs("podman", "docker") && slices.Contains(c.words, "pull") {
				return nil // a pull that fails then fails the unit
			}
		}
	}
	for _, o := range f.execs() {
		if o.Name != "ExecStart" {
			continue
		}
		for _, c := range commands(o.Value) {
			if n := f.earlyActive(o, c); n != nil {
				return []*Error{n}
			}
		}
	}
	return nil
}

// earlyActive is the note on a service that counts as running while its image is still pulled.
func (f *File) earlyActive(o Option, c command) *Error {
	if !slices.Contains(c.words, "run") {
		return nil
	}
	n := &Error{File: string(f.Name), Line: o.Line, Msg: "systemd takes the service for running as soon as the client runs, before the container does"}
	switch {
	case c.runs("podman"):
		n.Hint = "Type=notify with --sdnotify=conmon tells when the container runs"
	case c.runs("docker"):
		n.Hint = "an ExecStartPre= line that pulls the image fails the start when the pull does"
	default:
		return nil
	}
	return n
}
