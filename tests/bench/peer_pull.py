"""stub"""
def goals(world, *, annotations):
    return iter(())
