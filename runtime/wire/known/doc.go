// Package known has the glue of the well-known types, for generated glue to
// call: their packages are not ours, so that it cannot be methods. See package
// wire for what Size, Put and Parse functions do.
package known
