package status_test

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rpcx-go/rpcx/runtime/status"
)

func Example() {
	find := func(id int) error {
		return status.Errorf(status.NotFound, "user %d does not exist", id)
	}
	err := fmt.Errorf("loading the profile: %w", find(7))

	fmt.Println(err)
	if status.CodeOf(err) == status.NotFound {
		fmt.Println("message:", status.FromError(err).Message())
	}
	// Output:
	// loading the profile: NOT_FOUND: user 7 does not exist
	// message: user 7 does not exist
}

// The cause is there for the process that has it, and is not sent.
func ExampleErrorf_cause() {
	err := status.Errorf(status.FailedPrecondition, "opening the index: %w", fs.ErrNotExist)
	fmt.Println(err)
	fmt.Println(errors.Is(err, fs.ErrNotExist))
	// Output:
	// FAILED_PRECONDITION: opening the index: file does not exist
	// true
}

// A detail tells the caller's program what the message tells its user. Any
// generated message will do.
func ExampleDetailAs() {
	quota := func() error {
		e := status.New(status.ResourceExhausted, "quota of the day is used up")
		e, err := e.WithDetails(durationpb.New(3 * time.Hour))
		if err != nil {
			return err
		}
		return e
	}
	err := quota()
	if left, ok := status.DetailAs[*durationpb.Duration](err); ok {
		fmt.Println("try again in", left.AsDuration())
	}
	// Output: try again in 3h0m0s
}

func ExampleError_Is() {
	err := status.Errorf(status.NotFound, "user 7 does not exist")
	fmt.Println(errors.Is(err, status.New(status.NotFound, "")))
	// Output: true
}
