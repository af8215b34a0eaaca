module github.com/xfrmctl/xfrmctl/tests

go 1.26.0

replace github.com/xfrmctl/xfrmctl => ../
