mod crash;
mod seeds;
mod tidy;
