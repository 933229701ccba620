// Package install puts flotilla onto a host: its binary and its service units, the same
// files that the Butane configurations in this folder carry.
//
// The binary is /opt/bin/flotilla everywhere. Flatcar has /usr read-only and /opt writable, with
// /opt/bin in root's path; Fedora CoreOS has /opt as a link to the writable /var/opt; Debian has
// /opt. /usr/local/bin is read-only on Flatcar.
//
// Every function takes the root folder of the host, "/" for the one it runs on. The
// caller reloads systemd and enables the units.
package install
