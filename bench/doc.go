// Package bench is the module of measurements: programs that run Tatami, and
// later its peers, side by side and print JSON.
//
// In: built programs and a size. Out: figures with units, each beside the
// machine and the versions they were measured on; never a figure alone. It is a
// module of its own so that peers never become dependencies of Tatami, and the
// root never imports it. Read machine first: every result carries one.
package bench
