//go:build race

package cluster

// slower is by how much the largest tests are made smaller.
const slower = 10
