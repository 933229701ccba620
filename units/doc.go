// Package units holds the systemd unit file as flotilla sees it: its name,
// its bytes, and a parsed view beside them.
//
// The bytes that a user submits are the truth. They are stored, hashed and
// written to hosts exactly as they came; nothing in this package turns a parsed
// view back into a file. Parse reads them by the rules of systemd.syntax(7) and
// keeps the line of every option, so that every later complaint can name it.
//
// The caller's road is: Mangle and Expand what a person typed, ParseName the
// result, Verify the file once at submit, then Parse and Requirements wherever
// the placement options are needed. Verify refuses what systemd would certainly
// refuse to load, and everything in the [X-Flotilla] section (or the [X-Fleet]
// section of an old file) that flotilla does not understand. Nothing malformed
// is ever passed over in silence. A unit's drop-ins are judged together with it:
// VerifyWith and RequirementsWith.
//
// The package is pure: it reads no file, no clock and no environment, and all
// its values may be used from several goroutines as long as nobody changes them.
package units
