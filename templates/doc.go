// Package templates turns the services of a Compose file into unit files that run containers, by Go
// templates, for Podman and for Docker.
//
// It reads nothing: the caller hands in the file's bytes (Parse, Check), loads the Compose project with
// them, and hands that in (Render). What is refused is a units.Error with the line of the Compose file.
// Nothing that a Compose file holds can become a directive, a specifier or a word of its own: every
// value reaches a template as a Word or a Text, which quote themselves.
package templates
