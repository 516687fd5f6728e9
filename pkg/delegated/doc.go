// Package delegated offers a node's lookups over HTTP: the delegated routing API
// /routing/v1 of the IPFS specifications, for clients that speak no DHT, such as
// browsers.
//
// It promises providers, peers, closest peers and IPNS records as the DHT has
// them, with bounds on requests in progress, their time and the length of
// answers. It refuses to announce content for others: a provider record names
// who has the content, and that is never the one who asks over HTTP. An IPNS
// record may be stored, since it carries its owner's signature; renewing it stays
// the owner's business. It tells private and loopback addresses only to who asks
// from such an address, and to no page of another origin and through no proxy.
//
// It owns no state but the count of requests in progress; Handler is safe for
// concurrent use.
package delegated
