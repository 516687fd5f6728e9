// Package delegated offers a node's lookups over HTTP: the delegated routing API
// /routing/v1 of the IPFS specifications, for clients that speak no DHT, such as
// browsers.
//
// It promises providers, peers, closest peers and IPNS records as the DHT has
// them, with bounds on requests in progress, their time and the length of
// answers. It refuses to announce content for others: a provider record names
// who has the content, and that is never the one who asks over HTTP. An IPNS
// record may be stored, since it carries its owner's signature; renewing it stays
// the owner's business.
//
// An error is never an empty answer: 503 while nobody can be asked, 504 when the time
// is over, 409 to a record older than the one known here. Private and loopback
// addresses are told to nobody by default. With Options.PrivateAddresses they are told
// to clients that ask from such an address, directly and by IP address; never to a page
// of another origin.
//
// It owns no state but the count of requests in progress; Handler is safe for
// concurrent use.
package delegated
