package ec2

import (
	"context"
	"errors"

	"github.com/aws/smithy-go"

	"github.com/tatami-platform/tatami/internal/control"
)

const offline = "; without --refresh the built-in prices are used, and --catalog FILE takes your own"

func noCredentials(err error) error {
	if stop := stopped(err); stop != nil {
		return stop
	}
	return &control.Problem{
		What: "there are no AWS credentials", Why: brief(err),
		Next: "log in with `aws sso login` or set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" + offline,
	}
}

// fault says for a failed call what can be done about it.
func fault(action, region string, err error) error {
	if stop := stopped(err); stop != nil {
		return stop
	}
	p := &control.Problem{What: action + " in " + region, Why: brief(err)}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	switch code {
	case "UnauthorizedOperation", "AccessDeniedException", "AccessDenied":
		p.Next = "allow the action " + action + " to these credentials, or use others" + offline
	case "AuthFailure", "ExpiredToken", "ExpiredTokenException", "RequestExpired", "InvalidClientTokenId", "UnrecognizedClientException":
		p.Next = "log in again, e.g. with `aws sso login`; where the region is not enabled for the account, enable it" + offline
	case "RequestLimitExceeded", "ThrottlingException":
		p.Next = "wait a minute and try again: the account's limit for such calls is used up"
	default:
		p.Next = "check the name of the region and the connection to AWS, and try again" + offline
	}
	return p
}

// stopped keeps an interruption what it is.
func stopped(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// brief leaves out what the SDK wraps around the answer of AWS.
func brief(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		return errors.New(api.ErrorCode() + ": " + api.ErrorMessage())
	}
	return err
}
