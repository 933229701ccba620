// Package api is flotilla's HTTP/JSON interface under /v1, over a unix socket and over
// mutual TLS, and the Go client of it. docs/api.md describes it for other languages.
//
// Nouns are plural, lists are NDJSON (one JSON value a line), ?watch=REVISION keeps a
// list open, If-Match carries a modification revision, and every refusal is one
// Error body. The daemon hands in what lies behind it: see Options.
package api
