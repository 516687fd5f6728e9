// Package statuspage is the page at / of the metrics listener: how the node is
// doing, for a person with a browser.
//
// It promises one page that needs nothing from elsewhere, works in light and dark
// and on a phone, and asks /status.json every two seconds. It can only be read,
// it names no peer but the node itself, and its ID and addresses only to who asks by
// IP address or localhost (DNS rebinding). However many look at it, the node is asked
// at most once a second.
package statuspage
