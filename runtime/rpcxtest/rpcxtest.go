// Package rpcxtest helps to test what is built with package rpcx without a
// real network: a network in memory, connections that fail where a script says
// so, handlers called in the same process, and a recorder for fakes.
//
// Everything works under testing/synctest.
package rpcxtest
