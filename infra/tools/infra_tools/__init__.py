"""What is generated from the CloudFormation templates, and what checks them."""
