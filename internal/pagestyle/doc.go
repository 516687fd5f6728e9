// Package pagestyle is what the HTML pages share: the status page, the trace of a lookup,
// and the report of a simulation. It has their colours, their Content-Security-Policy and
// the steps of their axes, and for the last two, whose pages are single files, the base of
// the style. No page loads anything from elsewhere.
//
// It is pure.
package pagestyle
