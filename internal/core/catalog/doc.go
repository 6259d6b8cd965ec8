// Package catalog knows what machines can be bought: shapes of EC2 instances
// and Fargate tasks, their prices in each region, what spot saves and how often
// it is taken away, and what a kubelet leaves of a machine for pods.
//
// In: the built-in table, or a file or answers of AWS in its place. Out: a
// [Book], and [Offering]s from it: a shape in a zone, bought in one way, at a
// price in nano-USD per hour. Every figure has a [Source] with a date.
// It never calls AWS or reads a file. Source: AWS's published figures; data/ holds
// them as tables that say how they are read. Read shape.go, book.go, query.go.
package catalog
