mod bmcsim;
mod tidy;
