// Package storetest is the suite that every implementation of the stores passes:
// package records' in-memory twin and package storage's bbolt file.
//
// It promises that two stores which pass are exchangeable: every documented
// method, expiry to the second, survival of a reopen, and a random walk against a
// naive model. It uses no clock: time is what the tests say it is.
package storetest
