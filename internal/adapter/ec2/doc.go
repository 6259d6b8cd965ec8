// Package ec2 asks AWS what a region sells now: types, zones, and prices on
// demand and on spot.
//
// In: a region, and a catalog to start from. Out: the catalog with that region
// renewed; memory in bytes, prices in nano-USD per hour. It speaks the EC2 and
// Pricing APIs through the AWS SDK, with the credentials that the aws command
// would use, or to one endpoint that stands in for both.
// It never changes anything in an account. Source: the EC2 and Price List API
// references. Read catalog.go, then shape.go.
package ec2
