// Package calendar reads the calendar expressions of systemd.time(7), such as "Sat *-*-* 02:00" or
// "Mon..Fri *-*-* 22,23:30 Europe/Berlin", and says when they elapse next. Call Parse, then Next.
//
// It agrees with systemd-analyze calendar: on what is an expression, on its normalized form and
// on the times. Times of day that a change of the clocks skips do not happen on that day; those that it
// repeats happen once, the first time. The parser knows no local zone: an expression without a zone is
// read in the zone that Next is given.
//
// The zones come from the time zone database, which the standard library finds on the host or in
// the binary. It is data, as the tables of Unicode are; nothing else here is read from outside.
package calendar
