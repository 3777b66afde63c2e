package submission

import "distlabs/internal/grading/course"

var echoLab = course.Lab{ID: "01-echo", Package: "echo", Parts: []course.Part{{Files: []string{"echo.go", "shout.go"}}}}
