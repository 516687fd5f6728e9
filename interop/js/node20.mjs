// js-libp2p 3 needs Promise.withResolvers, which Node.js has from version 22.
// Loaded with --import, so that the tests also run on Node.js 20.
Promise.withResolvers ??= function () {
  const out = {}
  out.promise = new this((resolve, reject) => {
    out.resolve = resolve
    out.reject = reject
  })
  return out
}
