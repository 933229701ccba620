package units

import (
	"regexp"
	"strings"
)

// reference is the name of a container image as registries write it: host:port/path:tag@digest.
var reference = regexp.MustCompile(`^` +
	`(?:(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?/)?` + // host
	`[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*` + // path
	`(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?` + // tag
	`(?:@sha256:[0-9a-f]{64}|@sha512:[0-9a-f]{128})?$`) // digest

const (
	maxImages    = 32
	maxReference = 512
)

// images reads Image=.
func (p *placement) images() []string {
	var out []string
	for _, s := range p.set[optImage] {
		if hint := imageHint(s.value); hint != "" {
			p.add(s.line, hint, "Image=%s is no image reference", printable(s.value))
			continue
		}
		out = append(out, s.value)
	}
	if out = sortedSet(out); len(out) > maxImages {
		p.add(p.lastLine(optImage), "a unit runs one container as a rule", "Image= names %d images, %d is the most", len(out), maxImages)
	}
	return out
}

// imageHint says what is wrong with an image reference, "" when nothing is.
func imageHint(ref string) string {
	if len(ref) <= maxReference && reference.MatchString(ref) {
		return ""
	}
	name, _, _ := strings.Cut(ref, "@")
	path := name[strings.IndexByte(name, '/')+1:]
	path, tag, tagged := strings.Cut(path, ":")
	switch {
	case len(ref) > maxReference:
		return "a reference has 512 bytes at most"
	case strings.Contains(ref, "://"):
		return "write it without " + ref[:strings.Index(ref, "://")+3] + ", as in docker.io/library/nginx:1.27"
	case strings.ContainsAny(ref, `"',;`):
		return "put a blank between two references, and no quotes inside"
	case strings.ToLower(path) != path:
		return "the name of an image has small letters only"
	case tagged && tag == "":
		return "write a tag behind the :, or remove it"
	case strings.Contains(ref, "@"):
		return "a digest stands as @sha256: and 64 hexadecimal digits"
	}
	return "write it as in docker.io/library/nginx:1.27"
}

// runtime is what Runtime= says or, of a unit with images, what its ExecStart= runs.
func (p *placement) runtime(images []string) string {
	named := p.choice(optRuntime, "docker", "podman")
	if named != "" || len(images) == 0 || len(p.set[optRuntime]) > 0 {
		return named
	}
	found := map[string]bool{}
	for _, o := range p.file.execs() {
		for _, c := range commands(o.Value) {
			for _, runtime := range []string{"docker", "podman"} {
				if o.Name == "ExecStart" && c.runs(runtime) {
					found[runtime] = true
				}
			}
		}
	}
	switch {
	case len(found) > 1:
		p.add(p.lastLine(optImage), "add Runtime=docker or Runtime=podman", "Image= does not say who pulls it: ExecStart= runs docker and podman")
	case found["docker"]:
		return "docker"
	case found["podman"]:
		return "podman"
	default:
		p.add(p.lastLine(optImage), "add Runtime=docker or Runtime=podman", "Image= does not say who pulls it: ExecStart= runs neither docker nor podman")
	}
	return ""
}
