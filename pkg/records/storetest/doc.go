// Package storetest is the test suite for implementations of the stores: the in-memory
// implementation in package records, and the bbolt files of package storage.
//
// Two stores that pass are interchangeable. The suite covers every documented method, expiry
// to the second, data after a reopen, and a random walk that is compared with a simple model.
// It uses no clock: the tests pass the time.
package storetest
