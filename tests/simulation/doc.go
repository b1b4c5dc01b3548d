// Package simulation proves whole runs under faults: any number of them on one
// ledger and one cluster, all of it simulated, with time that passes only while
// everybody waits.
//
// Every effect of a run is a message to one network, and one scheduler decides
// which message takes effect next, which never does, which answer is lost, which
// process dies or stands still meanwhile. It chooses by the names of the messages
// and by a seed, so that the same seed gives the same world, and a failure prints
// the one line that brings it back. After each message and each run the
// invariants of invariants_test.go are looked at.
//
// The simulated API server is held to the real one by TestConformance.
package simulation
